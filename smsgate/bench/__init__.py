"""`smsgate bench`: what this machine carries, from a claimed chunk to the committed receipt."""
