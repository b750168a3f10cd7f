"""
Who says in a stop that a person has to look at it: a death, a child, the wrong person, a complaint.

The phrases are data (`blocks.toml`), and clear ones alone: a block holds for every merchant until a person
lifts it, so that no single word may bring it about.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

from smsgate.campaigns.folding import fold
from smsgate.campaigns.tables import table

REASSIGNED: Final = "reassigned"  # no block: consent ends, and the person who has the number now may agree
TEXT_CHARACTERS_MAX: Final = 1_600  # ten segments, as with `replies`
SAYS: Final = {
    REASSIGNED: "the number is another person's now: consent ended for every merchant",
    "wrong_person": "it reached the wrong person: blocked for every merchant",
    "death": "the person died: blocked for every merchant",
    "child": "the number is a child's: blocked for every merchant",
    "complaint": "the person complains, or threatens with the law: blocked for every merchant",
}

_WORD: Final = re.compile(r"[\w-]+")


class BlockCase(NamedTuple):
    """`reason` is a key of SAYS, `phrase` what said so, as it is compared."""

    reason: str
    phrase: str

    @property
    def says(self) -> str:
        """Return one sentence for whoever looks at the case."""
        return f'The text says "{self.phrase}": {SAYS[self.reason]}.'


def block_case(text: str) -> BlockCase | None:
    """Return why a text that was read as a stop is a case for a person; None: it is a plain stop."""
    flat = _flat(text[:TEXT_CHARACTERS_MAX])
    for reason, phrases, unless in _phrases():
        found = next((phrase for phrase in phrases if f" {phrase} " in flat), None)
        if found is not None and not any(f" {phrase} " in flat for phrase in unless):
            return BlockCase(reason, found)
    return None


@cache
def _phrases() -> Sequence[tuple[str, Sequence[str], Sequence[str]]]:
    return [
        (
            reason,
            [_flat(phrase).strip() for phrase in words["phrases"]],
            [_flat(phrase).strip() for phrase in words.get("unless", ())],
        )
        for reason, words in table("blocks.toml").items()
    ]


def _flat(text: str) -> str:
    """Return the words between single spaces, numbers as #."""
    words = ("#" if word.isdecimal() else word for word in _WORD.findall(fold(text.replace("#", "0"))))
    return f" {' '.join(words)} "
