"""SMPP 3.4 and SMS text, pure: no I/O, no clock, no log; time is an argument, randomness is the caller's."""
