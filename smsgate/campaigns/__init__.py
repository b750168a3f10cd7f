"""
Offers, consent, replies and orders.

Pure; no I/O but the tables shipped with the package, no clock, no log.
"""

from pathlib import Path

from smsgate.compiled import compiled_modules

# A module is looked for among the compiled ones first (docs/decisions/0060).
__path__[:0] = compiled_modules(Path(__file__).parent)
