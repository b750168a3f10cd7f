"""What a process remembers of STOPs."""

from __future__ import annotations

from datetime import UTC, datetime

from smsgate.clock import ManualClock
from smsgate.flows.last_look import LastLook
from smsgate.flows.stops import KEEP_S, RecentStops

SENDER, MERCHANT, MSISDN = "36180", 7, 33612345678


def test_the_end_of_a_hold_takes_nothing_back_that_was_decided() -> None:
    """A long text that read as STOP in a part, and a STOP to the same number that another process decided."""
    stops = RecentStops()
    stops.hold(SENDER, MSISDN, 0.0)
    stops.add(SENDER, MSISDN, 1.0)
    stops.release(SENDER, MSISDN)
    assert MSISDN in stops.held(SENDER)
    assert (SENDER, MSISDN) in stops
    assert MSISDN not in stops.undecided(SENDER)


def test_a_start_that_is_heard_late_leaves_what_waits_for_its_commit() -> None:
    stops = RecentStops()
    stops.add(SENDER, MSISDN, 0.0)
    stops.hold(SENDER, MSISDN, 1.0)
    stops.remove(SENDER, MSISDN)
    assert MSISDN in stops.held(SENDER)
    assert MSISDN in stops.undecided(SENDER)
    stops.release(SENDER, MSISDN)
    assert MSISDN not in stops.held(SENDER)
    assert (SENDER, MSISDN) not in stops


def test_a_hold_that_nobody_ends_ends_by_its_age() -> None:
    stops = RecentStops()
    stops.hold(SENDER, MSISDN, 0.0)
    stops.hold(SENDER, MSISDN + 1, KEEP_S)
    assert stops.held(SENDER) == stops.undecided(SENDER) == {MSISDN + 1}


def test_a_stop_is_forgotten_in_time_though_no_other_comes() -> None:
    """A doubt that was over by itself held its person for as long as nobody else said STOP."""
    stops, clock = RecentStops(), ManualClock(datetime(2026, 11, 27, tzinfo=UTC))
    look = LastLook(stops, clock)
    stops.add(MERCHANT, MSISDN, clock.monotonic())
    clock.advance(KEEP_S - 1)
    look.now()
    assert stops.held(MERCHANT)
    clock.advance(1)
    look.now()  # a claim reads consent
    assert not stops.held(MERCHANT)
