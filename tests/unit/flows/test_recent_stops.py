"""What a process remembers of STOPs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from smsgate.clock import ManualClock
from smsgate.flows.batches import Batch
from smsgate.flows.last_look import LastLook, Look
from smsgate.flows.records import Lane
from smsgate.flows.stops import KEEP_S, RecentStops
from tests.batches import batch_of

SENDER, MERCHANT, MSISDN = "36180", 7, 33612345678


def a_batch(look: LastLook) -> Batch:
    """Return offers to MSISDN and the next number, for which consent is read now."""
    batch = batch_of(
        [1, 2], lane=Lane.BULK, merchant_id=MERCHANT, sender=SENDER, msisdns=[MSISDN, MSISDN + 1]
    )
    batch.consent_read = look.now()
    return batch


def test_the_end_of_a_hold_takes_nothing_back_that_was_decided() -> None:
    """A long text that read as STOP in a part, and a STOP to the same number that another process decided."""
    stops = RecentStops()
    stops.hold(SENDER, MSISDN, 0.0)
    stops.add(SENDER, MSISDN, 1.0)
    stops.release(SENDER, MSISDN)
    assert MSISDN in stops.held(SENDER)
    assert (SENDER, MSISDN) in stops
    assert MSISDN not in stops.undecided(SENDER)


def test_a_hold_that_nobody_ends_ends_by_its_age() -> None:
    stops = RecentStops()
    stops.hold(SENDER, MSISDN, 0.0)
    stops.hold(SENDER, MSISDN + 1, KEEP_S)
    assert stops.undecided(SENDER) == {MSISDN + 1}


def test_a_stop_is_forgotten_in_time_though_no_other_comes() -> None:
    """It took its room for as long as nobody else said STOP."""
    stops, clock = RecentStops(), ManualClock(datetime(2026, 11, 27, tzinfo=UTC))
    look = LastLook(stops, clock)
    stops.add(MERCHANT, MSISDN, clock.monotonic())
    clock.advance(KEEP_S - 1)
    look.now()
    assert stops.held(MERCHANT)
    clock.advance(1)
    look.now()  # a claim reads consent
    assert not stops.held(MERCHANT)


@pytest.mark.parametrize("whose", [MERCHANT, SENDER])
def test_a_stop_holds_what_was_read_until_then_and_no_claim_after_it(whose: int | str) -> None:
    """Who said START since is chosen by a claim that reads it; who did not is not."""
    stops, clock = RecentStops(), ManualClock(datetime(2026, 11, 29, tzinfo=UTC))
    look = LastLook(stops, clock)
    before = a_batch(look)
    clock.advance(1)
    stops.add(whose, MSISDN, clock.monotonic())
    meanwhile = a_batch(look)
    clock.advance(0.001)
    after = a_batch(look)
    held = Look(go=[1], stopped=[0], undecided=[])
    assert [look.at(batch, [0, 1]) for batch in (before, meanwhile, after)] == [held, held, None]


def test_a_stop_that_waits_for_its_commit_holds_every_claim() -> None:
    """Nobody can have read it yet."""
    stops, clock = RecentStops(), ManualClock(datetime(2026, 11, 29, tzinfo=UTC))
    look = LastLook(stops, clock)
    stops.hold(SENDER, MSISDN, clock.monotonic())
    clock.advance(1)
    batch = a_batch(look)
    assert look.at(batch, [0, 1]) == Look(go=[1], stopped=[0], undecided=[])
    stops.release(SENDER, MSISDN)
    assert look.at(batch, [0, 1]) is None
