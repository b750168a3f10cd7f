"""What smsgate does per message on the bulk path, compiled; smsgate takes it when it is installed."""
