"""
Offers, consent, replies and orders.

Pure; no I/O but the tables shipped with the package, no clock, no log.
"""
