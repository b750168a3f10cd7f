"""docs/smpp.md: the tests that it names exist, and what it says we do is shown by one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = (ROOT / "docs" / "smpp.md").read_text(encoding="utf-8")
NAMED: Final = re.compile(r"`(tests/[^`]+)`")
PEERS: Final = ("Kannel", "Jasmin", "cloudhopper", "jsmpp", "node-smpp", "smpplib", "aiosmpplib")


def comparison_rows() -> list[list[str]]:
    """Return the cells of each row beside other software, its heading rows left out."""
    part = PAGE[PAGE.index("## Beside other software") : PAGE.index("## Operations")]
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in part.splitlines() if "|" in line
    ]
    return [row for row in rows if len(row) == len(PEERS) + 3 and row[1] != "smsgate"]


ROWS: Final = comparison_rows()


@pytest.mark.parametrize("name", sorted({name.partition("::")[0] for name in NAMED.findall(PAGE)}))
def test_a_test_that_the_page_names_exists(name: str) -> None:
    assert (ROOT / name).exists()


def test_the_page_compares_in_some_sixty_rows() -> None:
    assert len(ROWS) > 50
    assert all(peer in PAGE for peer in PEERS)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_what_we_are_said_to_do_is_shown_by_a_test(row: list[str]) -> None:
    assert NAMED.search(row[-1]) or row[1] in {"N", "–"}
    for cell in row[2:-1]:
        assert re.fullmatch(r"(Y|~|N|–|\?|app|\d+)( / (Y|~|N))?", cell), cell
