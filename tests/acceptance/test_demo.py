"""
The demonstration, as `smsgate demo --once --json` plays it, with 60 subscribers on an embedded database.

It ends by itself, its last line is one JSON object, and every check in it holds.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smsgate.demo.main import DemoOptions, run_demo


async def test_the_demonstration_ends_well(reachable_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    options = DemoOptions(once=True, as_json=True, subscribers=60, port=0, state_dir=reachable_dir / "var")
    assert await run_demo(options, said.append) == 0
    story = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [check["name"] for check in story["checks"] if not check["ok"]] == []
    assert len(story["checks"]) == 10
    assert story["subscribers"] == story["delivered"] == 60
    assert story["submitted"] == story["accepted"] > 60
    assert story["orders"] == story["confirmed"] > 0
    assert any("Gateway on http://127.0.0.1:" in line for line in said)
