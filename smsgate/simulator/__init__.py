"""An SMSC with faults on demand, phones that answer, and a shop: for demonstrations, tests and load."""
