"""In a sale thousands say the same few words: what a short text says is found out once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Concatenate, Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
SHORT_MAX: Final = 40  # characters; longer texts are hardly ever said twice
TEXTS_KEPT: Final = 4_096  # of each function; a reading is about 1 kB, a yes or no 0.2


def once_if_short(read: Callable[Concatenate[str, P], T]) -> Callable[Concatenate[str, P], T]:
    """Return `read`, which depends on its arguments alone, with its last answers about short texts kept."""
    kept = lru_cache(maxsize=TEXTS_KEPT)(read)

    @wraps(read)
    def once(text: str, /, *args: P.args, **kwargs: P.kwargs) -> T:
        if len(text) > SHORT_MAX:
            return read(text, *args, **kwargs)
        return kept(text, *args, **kwargs)  # type: ignore[arg-type]  # what `read` takes here is hashable

    return once
