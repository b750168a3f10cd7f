"""Other companies' ESMEs bind here: sockets, sessions, who is in."""
