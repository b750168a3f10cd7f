"""
Read labelled rows with the reply reader that is on the path: JSON lines in, one `[label, quantity]` per
line out.

Run as a program it serves another revision of the rules too (`make replies BASE=...`), so it uses nothing
of the reader but `read_reply`, `Context` and the two fields.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from smsgate.campaigns.replies import Context, read_reply

NAMES = ("Boxman", "Madonna")  # of the offer that the labelled replies answer


def read(row: dict[str, Any]) -> tuple[str, int | None]:
    context = Context(row.get("context", "offer"))
    reading = read_reply(row["text"], row["lang"], names=NAMES, context=context)
    return reading.label.value, reading.quantity


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(read(json.loads(line))) + "\n")
