"""
How many replies are read per second of CPU: `make bench-reading`.

Reads the own labelled set (tests/data/replies.jsonl, some 34,000 different texts in 22 languages, none of
them twice in a round) as the gateway does: with the offer's names, in the subscriber's language. Real
traffic is shorter: most people write OK or STOP. The best of ROUNDS counts. Where the reading is compiled
(`make fast`), plain Python reads the same in the same run. The last line is JSON. Ends with 1 when what is
installed is under the bar.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Final

from tests.replies.scoring import OWN, rows

BAR: Final = 20_000  # per CPU second and core
ROUNDS: Final = 7
NAMES: Final = ("Boxman", "Madonna")
PLAIN: Final = "--plain"


def measured() -> tuple[float, bool]:
    """Return how many replies a second of CPU reads, and whether compiled modules read them."""
    from smsgate.campaigns import replies  # noqa: PLC0415  # which modules it is, `main` has said by now

    texts = [(row["text"], row["lang"]) for row in rows(OWN)]
    best = 0.0
    for _ in range(ROUNDS + 1):  # the first round looks words up that the others know
        started = time.process_time()
        for text, language in texts:
            replies.read_reply(text, language, names=NAMES)
        best = max(best, len(texts) / (time.process_time() - started))
    return best, not replies.__file__.endswith(".py")


def main() -> None:
    if PLAIN in sys.argv:
        sys.modules["smsgate_fast"] = None  # type: ignore[assignment]  # as where it is not installed
    best, compiled = measured()
    found = {"per_cpu_s": round(best), "bar": BAR, "compiled": compiled}
    if compiled:
        beside = subprocess.run(
            [sys.executable, "-m", "benchmarks.reply_reading", PLAIN],
            capture_output=True,
            text=True,
            check=False,
        )
        plain = json.loads(beside.stdout.splitlines()[-1])["per_cpu_s"]
        found |= {"plain_per_cpu_s": plain, "ratio": round(best / plain, 2)}
    print(f"{best:,.0f} replies a second of CPU, {'compiled' if compiled else 'plain Python'}")
    print(json.dumps(found))
    sys.exit(best < BAR)


if __name__ == "__main__":
    main()
