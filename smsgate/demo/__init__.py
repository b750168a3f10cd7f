"""The main job on one machine: database, SMSC, phones, shop and gateway, with real sockets between them."""
