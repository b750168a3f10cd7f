"""The composition root: what a process of smsgate is made of, by its roles."""
