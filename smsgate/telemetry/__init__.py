"""What operators see: log lines and metrics, at a cost that the message path can pay."""
