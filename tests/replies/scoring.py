"""
Labelled replies and what each wrong reading costs.

`tests/data/reply-samples.jsonl` are the project's acceptance samples. `tests/data/replies.jsonl` is the
project's own set, written before the rules that read it; a hash of the text parts it: rules are tuned on
`dev` and never on `held`. The newest batch, written before the rules of the day were looked at, is held out
by half.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

DATA: Final = Path(__file__).parents[1] / "data"
OWN: Final = DATA / "replies.jsonl"
SAMPLES: Final = DATA / "reply-samples.jsonl"
HELD_ONE_IN: Final = 3
NEWEST: Final = 43
NEWEST_HELD_ONE_IN: Final = 2
ORDERS: Final = frozenset(("accept", "quantity", "choice"))
PROTECTED: Final = frozenset(("start", "accept", "quantity"))  # never read as a stop
ANSWERED: Final = ORDERS | {"stop", "start", "help"}
# Standard opt-out words: a row that holds one of them is never lost to another label than `unclear`.
STANDARD: Final = frozenset(
    ("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "remove", "arret",
     "arrete", "arrett", "td", "baja", "parar", "cancelar")
)  # fmt: skip

Row = dict[str, Any]


def rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def is_held(row: Row) -> bool:
    one_in = NEWEST_HELD_ONE_IN if is_new(row) else HELD_ONE_IN
    return hashlib.blake2b(row["text"].encode(), digest_size=4).digest()[0] % one_in == 0


def is_new(row: Row) -> bool:
    return bool(row.get("batch") == NEWEST)


def error_of(row: Row, label: str, quantity: int | None) -> str | None:
    """
    Return what is wrong with a reading of `row`, by the names of the scoring rules, or None.

    E1 wrong order, E2 lost stop (E2hard when it is not even unclear), E3 wrong number or variant, E4 wrong
    stop, E5 lost sale (E5hard when it is read as a no or a stop), E6 machine answered; `other` costs nobody
    anything.
    """
    wanted = row["label"]
    if label in ORDERS and wanted not in ORDERS:
        return "E1"
    if wanted == "stop" and label != "stop":
        return "E2" if label == "unclear" else "E2hard"
    if wanted in ORDERS and label in ORDERS and _wrong_thing(row, label, quantity):
        return "E3"
    if label == "stop" and wanted != "stop":
        return "E4"
    if wanted in ORDERS and label not in ORDERS:
        return "E5hard" if label in {"decline", "stop"} else "E5"
    if wanted == "auto" and label in ANSWERED:
        return "E6"
    return "other" if label != wanted else None


def _wrong_thing(row: Row, label: str, quantity: int | None) -> bool:
    wanted: int = row.get("quantity", 1)
    return wanted != (quantity or 1) or (row["label"] == "choice") != (label == "choice")


class Figures:
    """What a set of readings came to."""

    def __init__(self, scored: Iterable[tuple[Row, str | None]]) -> None:
        self.labels: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.rows = 0
        for row, error in scored:
            self.rows += 1
            self.labels[row["label"]] += 1
            if error is not None:
                self.errors[error] += 1

    def __str__(self) -> str:
        stops, lost = self.labels["stop"], self.errors["E2"] + self.errors["E2hard"]
        sales, unsold = self.sales, self.errors["E5"] + self.errors["E5hard"]
        return (
            f"{self.rows:5} rows  E1 {self.errors['E1']}  E2 {lost}/{stops} {_percent(lost, stops)} "
            f"(hard {_percent(self.errors['E2hard'], stops)})  E3 {self.errors['E3']}  "
            f"E4 {self.errors['E4']}/{self.rows - stops} {_percent(self.errors['E4'], self.rows - stops)}  "
            f"E5 {unsold}/{sales} {_percent(unsold, sales)} (hard {_percent(self.errors['E5hard'], sales)})  "
            f"E6 {self.errors['E6']}  other {self.errors['other']}"
        )

    @property
    def sales(self) -> int:
        return sum(self.labels[label] for label in ORDERS)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def holds_standard_word(row: Row) -> bool:
    return not STANDARD.isdisjoint("".join(c if c.isalnum() else " " for c in row["text"].casefold()).split())


def changes(
    found: list[Row], before: list[tuple[str, int | None]], after: list[tuple[str, int | None]]
) -> Iterator[tuple[Row, str]]:
    """Yield each row whose reading changed, with a line: what it was, what it is, whether that is a gain."""
    for row, old, new in zip(found, before, after, strict=True):
        if old != new:
            was, now = error_of(row, *old), error_of(row, *new)
            sign = "=" if was == now else "+" if _weight(now) < _weight(was) else "-"
            read = f"{old[0]} [{was or 'right'}] -> {new[0]} [{now or 'right'}]"
            yield row, f"{sign} {row['lang']:7} {row['text']!r} ({row['label']}): {read}"


_WEIGHTS: Final = (None, "other", "E6", "E5", "E4", "E5hard", "E2", "E2hard", "E3", "E1")


def _weight(error: str | None) -> int:
    """Return what an error weighs beside others: a wrong order the most."""
    return _WEIGHTS.index(error)
