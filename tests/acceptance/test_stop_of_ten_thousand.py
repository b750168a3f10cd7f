"""
STOP while ten thousand offers are queued: not one leaves for that number any more.

Those who say STOP are all over the queue: claimed and in memory, waiting for their turn, or not claimed yet.
Then the carrier takes everything at once.
"""

from __future__ import annotations

from smsgate.config.routes import route_table
from smsgate.demo.scene import Api, import_people, phone_numbers
from tests.acceptance.town import SEED, SENDER, Ground, Town, a_carrier, a_town, eventually

PEOPLE = 10_100
QUEUED_MIN = 10_000
LEAVERS = 20
SOON = 250  # of each chunk's first: whose turn may come before their STOP does, at SLOWLY_PER_S
SLOWLY_PER_S, AT_ONCE_PER_S = 40, 20_000


async def settled(town: Town, people: int) -> None:
    """Import as many more, in a body that is not too large."""
    more = sorted(set(phone_numbers(people, SEED)).difference(town.msisdns))
    api = Api(town.base_url, town.merchant.key, town.session)
    for start in range(0, len(more), 4_000):
        await import_people(api, dict.fromkeys(more[start : start + 4_000], "music"), town.clock)
    town.msisdns += more


async def test_of_ten_thousand_queued_offers_none_leaves_for_a_number_that_said_stop(ground: Ground) -> None:
    slowly = {"rate_per_s": SLOWLY_PER_S, "window_max": 500}
    async with a_town(ground, subscribers=4_000, carrier=slowly) as town:
        await settled(town, PEOPLE)
        log, judge = town.simulator.smsc.log, town.simulator.smsc.judge
        campaign = await town.new_record()
        await eventually(lambda: log.accepted >= 1)
        async with town.process.services.database.bulk() as connection:
            await connection.execute("UPDATE campaign SET guard_off = true")  # not what is told here
            assert await connection.fetchval("SELECT count(*) FROM message") > 0  # claimed, in memory
        waiting = sorted(msisdn for msisdn in town.msisdns if not town.texts(msisdn))  # as chunks are cut
        leavers = waiting[SOON :: len(waiting) // LEAVERS]
        mos = [town.simulator.smsc.send_mo(msisdn, SENDER, "STOP") for msisdn in leavers]
        await eventually(lambda: all(mo.taken for mo in mos))
        queued = PEOPLE - log.submits
        assert queued >= QUEUED_MIN

        assert town.process.gateway is not None
        (account,) = town.process.gateway.switchboard
        at_once = a_carrier(town.simulator.smpp_port, rate_per_s=AT_ONCE_PER_S, window_max=500)
        await town.process.gateway.reload([(account.carrier_id, at_once)], route_table((), (at_once,)))
        done = await town.finished(campaign)

        assert judge.offers_after_stop == 0
        assert {town.offers_to(msisdn) for msisdn in leavers} == {0}
        await eventually(lambda: {len(town.texts(msisdn)) for msisdn in leavers} == {1})  # the confirmation
        assert done["progress"]["accepted"] == PEOPLE - len(leavers)
        assert {town.offers_to(msisdn) for msisdn in set(town.msisdns).difference(leavers)} == {1}
