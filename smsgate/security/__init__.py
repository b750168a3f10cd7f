"""Keys, seals, signatures and outgoing addresses: pure functions, apart from reading one key file."""
