"""
Every command with all that it needs, imported once for all the commands that are forked.

The reply tables are compiled as well: seconds, for each command that reads a reply or runs a gateway.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

import smsgate.cli
from smsgate.campaigns.replies import read_every_language

for found in pkgutil.iter_modules(smsgate.cli.__path__):
    import_module(f"smsgate.cli.{found.name}")
read_every_language()
