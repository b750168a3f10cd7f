"""Every command with all that it needs, imported once for all the commands that are forked."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import smsgate.cli

for found in pkgutil.iter_modules(smsgate.cli.__path__):
    import_module(f"smsgate.cli.{found.name}")
