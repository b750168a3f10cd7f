"""Kills of whatever can be killed, and the proof that nothing is lost or doubled: `make chaos KILLS=20`."""

from __future__ import annotations

import os

import pytest

from tests.chaos.__main__ import say
from tests.chaos.story import kill_and_prove

KILLS = int(os.environ.get("KILLS", "20"))
SEED = int(os.environ.get("SEED", "1"))
LIMIT_S = 180.0 + 30.0 * KILLS  # on a machine that does other things as well


@pytest.mark.chaos
@pytest.mark.timeout(LIMIT_S)
async def test_nothing_is_lost_or_doubled_whatever_is_killed() -> None:
    summary = await kill_and_prove(KILLS, SEED, say)
    broken = [check for check in summary["checks"] if not check["ok"]]
    assert not broken, (broken, {name: value for name, value in summary.items() if name != "checks"})
