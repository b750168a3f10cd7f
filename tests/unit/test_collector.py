"""The looks for garbage that holds itself stay away from the bulk path."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc
from smsgate.daemon.collector import calm_collector
calm_collector()
before = gc.get_stats()[0]["collections"]
rows = [(n, str(n)) for n in range(10_000)]  # as a read's rows, which live until a commit
assert gc.get_stats()[0]["collections"] == before
assert gc.get_freeze_count() > 1_000
class Knot: pass
def tie(): knot = Knot(); knot.self = knot
for _ in range(50_000): tie()
assert gc.get_stats()[0]["collected"] >= 10_000  # and what holds itself goes all the same
"""


def test_rows_of_one_commit_start_no_look_and_knots_are_found_all_the_same() -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=60)
