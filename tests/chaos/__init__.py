"""Real processes, killed at random; what must hold then, by the SMSC's log, the shop's and the database."""
