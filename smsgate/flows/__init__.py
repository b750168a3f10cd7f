"""The use cases. They see the outside through the Protocols of `ports` only."""
