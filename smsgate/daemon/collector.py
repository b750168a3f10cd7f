"""How often Python looks for garbage that holds itself."""

from __future__ import annotations

import gc
from typing import Final

# Objects made and not freed between two looks at the youngest. The bulk path makes thousands of rows that
# live until a commit and none that hold themselves: at Python's own 700 the looks cost the gateway 5 to 8 %.
YOUNG_MAX: Final = 20_000
LOOKS: Final = 10  # of one generation until the next look at the next older, as Python has it


def calm_collector() -> None:
    """Leave what is imported by now alone, and look more rarely; for processes that carry messages."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, LOOKS, LOOKS)
