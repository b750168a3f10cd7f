"""Campaigns over a real socket: everybody once, everything in the books."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from smsgate.flows.offers import LIFE_MIN
from smsgate.flows.sending_limits import SendingLimits
from smsgate.links.profile_values import Host
from smsgate.simulator.phones import Behaviour
from smsgate.store.pool import Database
from tests.flows.world import (
    COST_MICROS,
    FIRST_MSISDN,
    MERCHANT,
    OFFER_TEXT,
    OTHER_SENDER,
    UNIT_MICROS,
    World,
    a_simulator,
    a_world,
    eventually,
)

PERSONAL = "Bonjour {first_name}, CD Madonna 19,90€. OK = commande avec obligation de paiement. STOP 36111"


async def reasons(world: World) -> dict[str, int]:
    rows = await world.rows("SELECT reason, count(*) AS n FROM sent WHERE status = -2 GROUP BY reason")
    return {row["reason"]: row["n"] for row in rows}


async def test_every_subscriber_gets_the_offer_once_and_each_accepted_message_is_in_the_ledger(
    database: Database,
) -> None:
    async with a_world(database, subscribers=2_500) as world:
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
            await eventually(lambda: world.log.receipts_acknowledged == 2_500)
        assert world.log.submits == 2_500
        assert set(world.log.by_destination.values()) == {1}
        counters = await world.counters(campaign_id)
        assert counters == {"recipients": 2_500, "accepted": 2_500, "delivered": 2_500}
        assert await world.value("SELECT count(*) FROM sent WHERE status = 0") == 2_500
        sums = await world.rows(
            "SELECT account, sum(amount_micros) AS micros, sum(messages) AS messages FROM ledger_entry "
            "WHERE merchant_id = $1 GROUP BY account",
            MERCHANT,
        )
        assert {row["account"]: (row["micros"], row["messages"]) for row in sums} == {
            "unbilled": (2_500 * UNIT_MICROS, 2_500),
            "revenue": (-2_500 * UNIT_MICROS, 2_500),
            "cost": (2_500 * COST_MICROS, 2_500),
            "carrier_accrual": (-2_500 * COST_MICROS, 2_500),
        }


async def test_each_person_reads_their_own_name(database: Database) -> None:
    async with a_world(database, subscribers=120) as world:
        campaign_id = await world.campaign(text=PERSONAL, chunk=50)
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
            await eventually(lambda: world.simulator.phones.received == 120)
        for number in range(120):
            assert world.texts_to(number) == [PERSONAL.format(first_name=f"P{number}")]


async def test_a_name_that_fits_no_message_is_named_and_the_neighbours_get_theirs(database: Database) -> None:
    async with a_world(database, subscribers=5) as world:
        for number, name in ((1, "x" * 100), (2, "Nǎi"), (3, "")):
            await world.execute(
                "UPDATE subscriber SET fields = jsonb_build_object('first_name', $2::text) "
                "WHERE subscriber_id = $1",
                10_000 + number,
                name,
            )
        campaign_id = await world.campaign(text=PERSONAL)
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        assert await reasons(world) == {"text_too_long": 1, "charset_ucs2": 1, "field_empty": 1}
        assert set(world.log.by_destination) == {FIRST_MSISDN, FIRST_MSISDN + 4}
        assert await world.counters(campaign_id) == {
            "recipients": 5, "accepted": 2, "not_sent": 3, "delivered": 2,
        }  # fmt: skip
        assert await world.value("SELECT count(*) FROM open_offer") == 2


async def test_a_text_that_no_linter_saw_stops_its_campaign_and_not_the_gateway(database: Database) -> None:
    async with a_world(database, subscribers=3) as world:
        async with world.gateway():
            for text in ("x" * 161, "Привет, OK " * 7):
                bad = await world.campaign(text=text)
                await eventually(partial(world.finished, bad))
            good = await world.campaign()
            await eventually(lambda: world.finished(good))
        assert await reasons(world) == {"text_too_long": 3, "charset_ucs2": 3}
        assert (await world.counters(good))["accepted"] == 3


async def test_french_goes_in_one_segment_by_the_table_that_the_carrier_permits(database: Database) -> None:
    async with a_world(database, subscribers=3) as world:
        world.profile_changes = {"shift": ("single:pt",)}
        await world.execute(
            "UPDATE subscriber SET fields = jsonb_build_object('first_name', 'François') "
            "WHERE subscriber_id = 10001"
        )
        campaign_id = await world.campaign(text=PERSONAL)
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
            await eventually(lambda: world.simulator.phones.received == 3)
        assert world.texts_to(1) == [PERSONAL.format(first_name="François")]
        assert await world.counters(campaign_id) == {"recipients": 3, "accepted": 3, "delivered": 3}
        assert await world.value("SELECT sum(segments) FROM sent") == 3


async def test_a_short_text_in_another_script_goes_in_one_segment_of_ucs2(database: Database) -> None:
    async with a_world(database, subscribers=3) as world:
        campaign_id = await world.campaign(text="Привет, OK? \N{THUMBS UP SIGN}")
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
            await eventually(lambda: world.simulator.phones.received == 3)
        assert world.texts_to(2) == ["Привет, OK? \N{THUMBS UP SIGN}"]


async def test_a_letter_that_the_carriers_alphabet_lacks_is_named_and_the_neighbours_get_theirs(
    database: Database,
) -> None:
    async with a_world(database, subscribers=40) as world:
        world.profile_changes = {"default_alphabet": "latin1"}
        await world.execute(
            "UPDATE subscriber SET fields = jsonb_build_object('first_name', 'Ω') WHERE subscriber_id = 10007"
        )
        campaign_id = await world.campaign(text=PERSONAL.replace("€", " EUR"))
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        assert await reasons(world) == {"not_in_alphabet": 1}
        assert len(world.log.by_destination) == 39


async def test_without_a_price_nothing_leaves(database: Database) -> None:
    async with a_world(database, subscribers=20) as world:
        await world.execute("UPDATE merchant SET price_list_id = NULL")
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        assert await reasons(world) == {"price_missing": 20}
        assert world.log.submits == 0
        assert await world.value("SELECT count(*) FROM ledger_entry") == 0
        assert await world.value("SELECT count(*) FROM open_offer") == 0


async def test_what_the_carrier_throttles_is_sent_later_and_once(database: Database) -> None:
    async with a_world(database, subscribers=300, account_rate_per_s=100) as world:
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        assert world.log.throttled > 0
        assert len(world.log.by_destination) == 300
        assert set(world.log.by_destination.values()) == {1}
        assert (await world.counters(campaign_id))["accepted"] == 300
        assert await world.value("SELECT count(*) FROM sent") == 300


async def test_a_refused_message_costs_nothing_and_leaves_no_offer_open(database: Database) -> None:
    async with a_world(database, subscribers=400, refuse_share=0.25, refuse_status=0x0B) as world:
        campaign_id = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        refused = sum(world.log.refused.values())
        assert 0 < refused < 400
        counters = await world.counters(campaign_id)
        assert (counters["refused"], counters["accepted"]) == (refused, 400 - refused)
        assert await world.value("SELECT count(*) FROM sent WHERE status = 11 AND sell_micros = 0") == refused
        assert await world.value("SELECT count(*) FROM open_offer") == 400 - refused
        charged = await world.value("SELECT sum(messages) FROM ledger_entry WHERE account = 'unbilled'")
        assert charged == 400 - refused


async def test_connections_that_break_in_the_middle_leave_a_known_doubt_and_nobody_twice(
    database: Database,
) -> None:
    async with a_world(database, subscribers=600, response_latency_s=0.05, window_max=50) as world:
        campaign_id = await world.campaign(chunk=100)
        async with world.gateway():
            for accepted in (60, 150, 300):
                await eventually(partial(world.submitted, accepted))
                world.simulator.smsc.drop_connections()
            await eventually(lambda: world.finished(campaign_id))
        assert set(world.log.by_destination.values()) == {1}
        counters = await world.counters(campaign_id)
        assert counters["accepted"] + counters["unknown"] == 600
        assert 0 < counters["unknown"] <= 3 * 50
        assert world.log.accepted >= counters["accepted"]
        charged = await world.value("SELECT sum(messages) FROM ledger_entry WHERE account = 'unbilled'")
        assert charged == counters["accepted"]
        assert await world.value("SELECT count(*) FROM sent WHERE status = -1 AND sell_micros > 0") == 0


async def test_an_offer_that_expires_while_it_waits_is_never_written(database: Database) -> None:
    async with a_world(database, subscribers=200, rate_per_s=20) as world:
        campaign_id = await world.campaign(expires_in=LIFE_MIN + timedelta(seconds=4.0))
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        counters = await world.counters(campaign_id)
        assert counters["accepted"] == world.log.submits < 200
        assert await reasons(world) == {"expired": 200 - world.log.submits}
        assert await world.value("SELECT count(*) FROM open_offer") == world.log.submits


async def test_an_offer_expires_even_when_no_carrier_is_there(database: Database) -> None:
    async with a_world(database, subscribers=30) as world:
        world.profile_changes = {"hosts": (Host("127.0.0.1", 1),)}
        campaign_id = await world.campaign(expires_in=LIFE_MIN + timedelta(seconds=0.3))
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        assert await reasons(world) == {"expired": 30}


async def test_a_campaign_for_nobody_finishes(database: Database) -> None:
    async with a_world(database, subscribers=3) as world:
        without_chunks = await world.campaign(tags=["nobody"])
        left_since = await world.campaign()
        await world.execute("UPDATE subscriber SET offers_state = 'unsubscribed'")
        async with world.gateway():
            await eventually(lambda: world.finished(without_chunks))
            await eventually(lambda: world.finished(left_since))
        assert world.log.submits == 0


async def test_whoever_has_an_open_offer_gets_no_second_one_and_the_campaign_finishes(
    database: Database,
) -> None:
    async with a_world(database, subscribers=50) as world:
        first = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(first))
            # An answer is waited for, but not until the offer is nearly over.
            second = await world.campaign(chunk=20, expires_in=LIFE_MIN + timedelta(minutes=5))
            await eventually(lambda: world.finished(second))
        assert await reasons(world) == {"open_offer": 50}
        assert await world.counters(second) == {"recipients": 50, "not_sent": 50}
        assert world.log.submits == 50


async def test_two_campaigns_share_the_carrier(database: Database) -> None:
    """Two merchants' worth of people, one carrier: neither waits for the other's end."""
    async with a_world(database, subscribers=800, rate_per_s=1_000) as world:
        await world.execute(
            "UPDATE subscriber SET tags = ARRAY[CASE WHEN subscriber_id < 10400 THEN 'a' ELSE 'b' END]"
        )
        campaigns = [await world.campaign(tags=[tag], chunk=100) for tag in ("a", "b")]
        order: list[int] = []
        async with world.gateway():
            await eventually(lambda: world.log.submits == 800)
            for campaign_id in campaigns:
                await eventually(partial(world.finished, campaign_id))
        order = [(msisdn - FIRST_MSISDN) // 400 for msisdn in world.log.by_destination]
        first_half = order[:400]
        assert 100 <= sum(first_half) <= 300


async def test_neither_window_nor_cap_is_ever_exceeded(database: Database) -> None:
    limits = SendingLimits(poll_s=0.02, in_doubt_max=60)
    async with a_world(
        database, subscribers=500, window_max=40, limits=limits, response_latency_s=0.01
    ) as world:
        campaign_id = await world.campaign()
        async with world.gateway() as gateway:
            seen = [(0, 0)]

            async def look() -> bool:
                pump = gateway.pump
                seen.append((gateway.switchboard.in_flight(), pump.uncommitted))
                return await world.finished(campaign_id)

            await eventually(look)
            assert gateway.pump.uncommitted == 0
        assert max(in_flight for in_flight, _ in seen) <= 40
        assert 0 < max(uncommitted for _, uncommitted in seen) <= 60
        assert min(uncommitted for _, uncommitted in seen) >= 0


async def test_a_system_message_overtakes_a_campaign(database: Database) -> None:
    async with a_world(database, subscribers=400, rate_per_s=200) as world:
        await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.log.submits >= 100)
            await world.system_message(399, "Boxman: votre commande est en route")
            await eventually(
                lambda: "Boxman: votre commande est en route" in world.texts_to(399), timeout_s=1.0
            )
            assert world.log.submits < 400


async def test_a_system_message_goes_in_the_alphabet_that_its_carrier_takes(database: Database) -> None:
    texts = ["Boxman: reçu, prêt", "Boxman: принято", "Boxman: bonjour"]
    async with a_world(database, subscribers=3) as world:
        world.profile_changes = {"shift": ("single:pt",)}
        for number, text in enumerate(texts):
            await world.system_message(number, text)
        async with world.gateway():
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
            await eventually(lambda: world.simulator.phones.received == 3)
        assert [world.texts_to(number) for number in range(3)] == [[text] for text in texts]
        assert await world.value("SELECT sum(segments) FROM sent") == 3


async def test_system_messages_wait_in_the_database_while_the_carrier_is_away(database: Database) -> None:
    async with a_world(database, subscribers=5) as world:
        gateway, lease = await world.make()
        message_id = await world.system_message(1, "Boxman: bonjour")
        claims = await gateway.claiming.interactive_once()
        assert not claims
        assert (
            await world.value("SELECT owner FROM interactive_queue WHERE message_id = $1", message_id) is None
        )
        await world.release(lease)
        async with world.gateway():
            await eventually(lambda: world.texts_to(1) == ["Boxman: bonjour"])
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
        assert await world.value("SELECT sum(messages) FROM ledger_entry WHERE account = 'unbilled'") == 1


async def test_what_only_another_process_can_send_is_left_to_it(database: Database) -> None:
    async with a_world(database, subscribers=10) as world:
        campaign_id = await world.campaign(sender=OTHER_SENDER)
        await world.system_message(1, "Boxman: bonjour", sender=OTHER_SENDER)
        mine = await world.campaign()
        async with world.gateway():
            await eventually(lambda: world.finished(mine))
            await eventually(lambda: world.log.receipts_acknowledged == 10)
        assert await reasons(world) == {}
        assert await world.value("SELECT count(*) FROM interactive_queue WHERE owner IS NULL") == 1
        async with a_simulator() as world.other, world.gateway():
            await eventually(lambda: world.finished(campaign_id))
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
            other = world.other
            assert other is not None
            assert other.smsc.log.accepted == 11


async def test_what_nobody_can_send_ends_with_its_offer(database: Database) -> None:
    async with a_world(database, subscribers=10) as world:
        campaign_id = await world.campaign(sender=OTHER_SENDER, expires_in=LIFE_MIN + timedelta(seconds=0.2))
        async with world.gateway():
            await eventually(lambda: world.finished(campaign_id))
        assert sum((await reasons(world)).values()) == 10


async def test_phones_that_stop_in_the_middle_of_a_slow_campaign_get_nothing_after_it(
    database: Database,
) -> None:
    """M2: from the STOP's deliver_sm_resp on, no offer is submitted to that number."""
    async with a_world(
        database, subscribers=500, rate_per_s=400, behaviour=Behaviour(stop=0.5), window_max=50
    ) as world:
        first = await world.campaign()
        second = await world.campaign(text=OFFER_TEXT.replace("Madonna", "Abba"), sender=OTHER_SENDER)
        await world.execute("UPDATE campaign SET guard_off = true")  # it would pause at so many STOPs
        async with a_simulator() as world.other, world.gateway():
            await eventually(lambda: world.finished(first))
            await eventually(lambda: world.finished(second))
            await eventually(lambda: world.log.mos_acknowledged == len(world.simulator.phones.stopped))
        stopped = world.simulator.phones.stopped
        assert stopped
        assert world.simulator.smsc.judge.offers_after_stop == 0


async def test_a_stop_holds_what_is_queued_from_the_moment_it_is_taken(database: Database) -> None:
    """M2: 500 messages of a slow campaign wait in memory; the numbers of three of them stop."""
    async with a_world(database, subscribers=500, rate_per_s=150, receipts=False) as world:
        campaign_id = await world.campaign()
        await world.execute("UPDATE campaign SET guard_off = true")  # three STOPs of so few sends trip it
        async with world.gateway():
            await eventually(lambda: world.log.submits >= 1)
            stops = [world.answer(number, "STOP") for number in (300, 400, 499)]
            await eventually(lambda: all(mo.taken for mo in stops))
            assert world.log.submits < 300
            await eventually(lambda: world.finished(campaign_id))
            await eventually(lambda: all(len(world.texts_to(number)) == 1 for number in (300, 400, 499)))
        for number in (300, 400, 499):
            assert "STOP" not in world.texts_to(number)[0]  # the confirmation, and no offer
        assert await reasons(world) == {"stopped": 3}
        assert world.simulator.smsc.judge.offers_after_stop == 0
