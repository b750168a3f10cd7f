"""Which carrier takes a message: rules as data, looked up by columns, with no I/O, clock or chance."""
