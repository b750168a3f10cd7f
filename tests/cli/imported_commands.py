"""
Every command with all that it needs, imported once for all the commands that are forked.

The reply tables are at hand as well, for each command that reads a reply or runs a gateway.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

import smsgate.cli
from smsgate.kept_tables import reply_tables_at_hand

for found in pkgutil.iter_modules(smsgate.cli.__path__):
    import_module(f"smsgate.cli.{found.name}")
reply_tables_at_hand()
