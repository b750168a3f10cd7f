"""A flood of refused binds does not become a flood of log lines."""

from __future__ import annotations

from structlog.testing import capture_logs

from smsgate.flows.esme_refusals import OTHERS, REPORT_EVERY_S, SOURCES_MAX, RefusedBinds


def test_the_first_refusal_is_told_at_once_and_the_others_of_its_minute_together() -> None:
    refusals = RefusedBinds()
    with capture_logs() as lines:
        for n in range(1_000):
            refusals.refused("192.0.2.1", f"guess{n}", 0x0E, now=n * 0.05)
            refusals.report(n * 0.05)
        refusals.refused("192.0.2.2", "shop", 0x0D, now=50.0)
        refusals.report(REPORT_EVERY_S)
    told = [(line["source"], line["binds"], line["system_id"], line["status"]) for line in lines]
    assert told == [
        ("192.0.2.1", 1, "guess0", 0x0E),
        ("192.0.2.2", 1, "shop", 0x0D),
        ("192.0.2.1", 999, "guess999", 0x0E),
    ]


def test_an_address_that_is_quiet_for_a_minute_is_forgotten() -> None:
    refusals = RefusedBinds()
    with capture_logs() as lines:
        refusals.refused("192.0.2.1", "shop", 0x0E, now=0.0)
        refusals.report(REPORT_EVERY_S)
        refusals.refused("192.0.2.1", "shop", 0x0E, now=REPORT_EVERY_S + 1)
    assert [line["binds"] for line in lines] == [1, 1]


def test_many_addresses_share_one_line_and_every_bind_is_counted() -> None:
    refusals, binds = RefusedBinds(), 10 * SOURCES_MAX
    with capture_logs() as lines:
        for n in range(binds):
            refusals.refused(f"2001:db8::{n:x}", "shop", 0x0E, now=1.0)
        refusals.report(2.0, all_=True)
    assert len(lines) == SOURCES_MAX + 2
    assert sum(line["binds"] for line in lines) == binds
    assert lines[-1]["source"] == OTHERS
