"""What the demonstration leaves for a second terminal: keys in a file, and sentences on how to go on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import orjson

from smsgate.billing.periods import Month
from smsgate.demo.scene import YOUR_PHONE
from smsgate.demo.settings import SETTINGS_FILE

NOTES: Final = ("demo.env", "demo.json")


def write_notes(state_dir: Path, notes: Mapping[str, str]) -> None:
    """Leave the keys where a shell and `smsgate phone` find them; readable by the owner alone."""
    texts = (
        "".join(f"export {key}={value}\n" for key, value in notes.items()),
        orjson.dumps({**notes, "phone": YOUR_PHONE}).decode() + "\n",
    )
    for name, text in zip(NOTES, texts, strict=True):
        path = state_dir / name
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(text)


def remove_notes(state_dir: Path) -> None:
    """Take the keys away again: nothing answers to them any more."""
    for name in NOTES:
        (state_dir / name).unlink(missing_ok=True)


def invitation(state_dir: Path, base_url: str) -> list[str]:
    """Say how to go on as the shop's developer."""
    return [
        "",
        f"  The API is at {base_url} (document: /v1/openapi.json). In another terminal:",
        "",
        f"    . {state_dir / 'demo.env'}",
        '    curl -s $SMSGATE_URL/v1/campaigns -H "Authorization: Bearer $SMSGATE_KEY"',
        "",
        f"  Your own phone is {YOUR_PHONE}: the README sends it an offer.",
    ]


def books_invitation(state_dir: Path, month: Month) -> list[str]:
    """Say how to go on as the accountant, while the demonstration runs and after it."""
    return [
        "",
        f"  The books are kept until the next demo. Bill {month}, also after this one has ended:",
        "",
        f"    export SMSGATE_CONFIG={state_dir / SETTINGS_FILE}",
        f"    .venv/bin/smsgate billing close boxman {month}",
        "    .venv/bin/smsgate billing verify",
        "",
        "  docs/billing.md goes on from there.",
    ]
