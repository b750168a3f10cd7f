"""Decisions are found by their number: one each, told in their title and in the list."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

DECISIONS: Final = Path(__file__).parents[3] / "docs" / "decisions"


def test_each_decision_has_a_number_of_its_own_in_name_title_and_list() -> None:
    files = sorted(path.name for path in DECISIONS.glob("[0-9]*.md"))
    assert [name[:4] for name in files] == [f"{number:04d}" for number in range(1, len(files) + 1)]
    listed = re.findall(
        r"^\| \[(\d{4})\]\((\S+)\) \|", (DECISIONS / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert listed == [(name[:4], name) for name in files]
    for name in files:
        assert (DECISIONS / name).read_text("utf-8").startswith(f"# {name[:4]} ")
