"""
The table of profiles in docs/simulator.md, made from the profiles themselves.

    python -m tests.simulator.profile_table

writes it into the page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import smsgate
from smsgate.simulator.profile import Profile
from smsgate.simulator.profiles import GROUPS

PAGE: Final = Path(smsgate.__file__).parent.parent / "docs" / "simulator.md"
BEGIN: Final = "<!-- made by `python -m tests.simulator.profile_table` -->\n"
HEAD: Final = "| profile | what the SMSC does | seen in | what a client ought to do |\n|---|---|---|---|\n"
END: Final = "<!-- end -->\n"


def table() -> str:
    """Return the table as Markdown, a section for each group."""
    parts = []
    for group, profiles in GROUPS.items():
        parts.append(f"\n### {group}\n\n{HEAD}")
        parts += [_row(profile) for profile in profiles]
    return "".join(parts) + "\n"


def written() -> str:
    """Return what stands in the page."""
    return PAGE.read_text().split(BEGIN)[1].split(END)[0]


def _row(profile: Profile) -> str:
    return f"| `{profile.name}` | {profile.sentence} | {profile.evidence} | {profile.client} |\n"


def _write() -> None:
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.split(END)[1])


if __name__ == "__main__":
    _write()
