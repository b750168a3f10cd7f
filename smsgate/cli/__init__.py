"""The command line: the operator's hands. It works on the same stores as the API, not over HTTP."""

from smsgate.cli.main import main

__all__ = ["main"]
