"""The numbers of the migrations: two of one number let no database start."""

from __future__ import annotations

from pathlib import Path

import smsgate

FOLDER = Path(smsgate.__file__).parent / "store" / "migrations"


def test_migrations_are_numbered_from_1_without_a_gap_or_a_double() -> None:
    numbers = sorted(int(path.name[:4]) for path in FOLDER.glob("[0-9]*.sql"))
    assert numbers == list(range(1, len(numbers) + 1))
