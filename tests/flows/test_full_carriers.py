"""Texts that wait for a full carrier leave the others their part of the bound of what is in doubt."""

from __future__ import annotations

import asyncio

import pytest

from smsgate.flows.allowances import SENDER_SHARE
from smsgate.flows.sending_limits import SendingLimits
from smsgate.routing.rules import Candidate, Kind, Rule
from smsgate.simulator.serve import Simulator
from smsgate.store.pool import Database
from tests.flows.test_routing import two_carriers
from tests.flows.world import FIRST_MSISDN, OTHER_SENDER, SENDER, World, eventually

TEXTS, PEOPLE = 400, 100
SLOW_PER_S, FAST_PER_S = 2, 2_000  # the texts take minutes, the people's offers no second
LIMITS = SendingLimits(poll_s=0.02, in_doubt_max=240)
SOON_S = 30.0  # on a machine that does much else
TEXTS_BY = {
    "first the slow one": (Candidate("slow"), Candidate("fast", 2)),
    "no rule": (),
    "equals": (Candidate("slow"), Candidate("fast")),
}


def _rules(way: str, slow: str, fast: str) -> list[Rule]:
    names = {"slow": slow, "fast": fast}
    texts = tuple(Candidate(names[each.carrier], each.priority) for each in TEXTS_BY[way])
    rules = [Rule("offers", (Candidate(fast),), kinds=(Kind.OFFER,))]
    return [*rules, Rule("texts", texts, kinds=(Kind.SYSTEM,), senders=(SENDER,))] if texts else rules


async def _claimed(world: World, slow: Simulator, fast: Simulator) -> int:
    """Return how many texts of the backlog are claimed and were not seen by a carrier yet."""
    sent = slow.smsc.log.submits + fast.smsc.log.submits  # first: what leaves in between makes this too many
    waiting = "SELECT count(*) FROM interactive_queue WHERE owner IS NULL"
    return TEXTS - int(await world.value(waiting)) - sent


@pytest.mark.parametrize(
    ("way", "slow_one"),
    [("first the slow one", "sim"), ("first the slow one", "other"), ("no rule", "sim"), ("equals", "sim")],
)
async def test_bulk_of_an_idle_carrier_goes_on_beside_a_backlog_of_texts(
    database: Database, way: str, slow_one: str
) -> None:
    """Texts were claimed because another carrier of their sender had room, and filled the bound."""
    slow_first = slow_one == "sim"
    rules = _rules(way, *(("sim", "other") if slow_first else ("other", "sim")))
    first, second = (SLOW_PER_S, FAST_PER_S) if slow_first else (FAST_PER_S, SLOW_PER_S)
    async with two_carriers(database, rules, subscribers=TEXTS, rate_per_s=first, limits=LIMITS) as world:
        assert world.other is not None
        world.other_changes = {"rate_per_s": second}
        slow, fast = (world.simulator, world.other) if slow_first else (world.other, world.simulator)
        await world.execute("UPDATE subscriber SET tags = '{few}' WHERE msisdn < $1", FIRST_MSISDN + PEOPLE)
        for number in range(TEXTS):
            await world.system_message(number, "Boxman: bonjour")
        async with world.gateway():
            await eventually(lambda: slow.smsc.log.submits >= 2 * SLOW_PER_S)
            most = 0
            for _ in range(50):
                most = max(most, await _claimed(world, slow, fast))
                await asyncio.sleep(0.02)
            campaign_id = await world.campaign(tags=["few"])
            await eventually(lambda: world.finished(campaign_id), SOON_S)
            if slow_first:  # the idle carrier's own texts, too
                await world.system_message(0, "Boxman: merci", sender=OTHER_SENDER)
                inbox = world.other.phones.inbox
                await eventually(
                    lambda: "Boxman: merci" in [text.text for text in inbox(FIRST_MSISDN)], SOON_S
                )
            assert slow.smsc.log.submits < TEXTS / 2, "the backlog was nearly over, and shows nothing"
        assert most <= LIMITS.in_doubt_max / SENDER_SHARE
        assert set(slow.smsc.log.by_destination.values()) == {1}
