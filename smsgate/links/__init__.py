"""Sockets, binds and reconnects: carriers as the flows see them, around `smsgate.protocol.session`."""
