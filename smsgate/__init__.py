"""smsgate: an SMS commerce gateway."""
