"""`smsgate bench` runs the whole road and its figures add up."""

from __future__ import annotations

import json
from pathlib import Path

from smsgate.bench.scene import MESSAGES_MAX, msisdn_of, people_for
from tests.cli.command_shell import Shell

KEYS = [
    "messages", "wall_s", "per_second", "gateway_cpu_us", "database_cpu_us", "wal_bytes", "rss_mb",
    "accepted", "receipts", "ledger_messages", "unknown", "flush_ms", "interactive_ms",
    "answers", "orders",
]  # fmt: skip


def test_every_message_is_accepted_receipted_and_charged_and_phones_are_answered(tmp_path: Path) -> None:
    found = Shell(tmp_path).ok("bench", "--messages", "3000", "--rate", "3000")
    figures = json.loads(found.out.splitlines()[-1])
    assert list(figures) == KEYS
    counts = [figures[key] for key in ("messages", "accepted", "receipts", "ledger_messages", "unknown")]
    assert counts == [3000, 3000, 3000, 3000, 0]
    assert figures["wal_bytes"] > 0
    assert figures["flush_ms"]["p50"] <= figures["flush_ms"]["p99"] <= figures["flush_ms"]["max"]
    assert 0 < figures["interactive_ms"]["p50"] <= figures["interactive_ms"]["p99"]
    # Who answers has the offer: half of them had none while phones were drawn in another order than chunks.
    assert 0 < figures["answers"] == figures["orders"]


def test_rate_times_seconds_are_the_messages_and_without_receipts_none_is_awaited(tmp_path: Path) -> None:
    found = Shell(tmp_path).ok("bench", "--rate", "500", "--seconds", "2", "--no-receipts", "--json")
    (line,) = found.out.splitlines()
    figures = json.loads(line)
    assert (figures["messages"], figures["accepted"], figures["receipts"]) == (1000, 1000, 0)
    assert figures["wall_s"] > 1.5  # paced


def test_seconds_without_a_rate_say_how_long_nothing_lasts(tmp_path: Path) -> None:
    found = Shell(tmp_path).run("bench", "--seconds", "2")
    assert found.code == 2
    assert "--rate" in found.err


def test_an_smsc_that_is_not_there_is_named(tmp_path: Path) -> None:
    found = Shell(tmp_path).run("bench", "--messages", "10", "--smsc", "nowhere")
    assert found.code == 2
    assert "HOST:PORT" in found.err


def test_recipients_are_as_many_as_messages_and_none_has_another_ones_number() -> None:
    messages = 10_000
    assert people_for(messages) - people_for(messages) // 50 == messages
    assert len({msisdn_of(nth) for nth in range(messages)}) == messages
    assert people_for(MESSAGES_MAX) < 2 * MESSAGES_MAX
