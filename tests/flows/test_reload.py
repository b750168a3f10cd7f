"""Carriers and routes change while messages flow: others are not touched, nothing is lost or doubled."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from smsgate.config import load_settings
from smsgate.daemon.gateway import Gateway
from smsgate.daemon.reloading import Reloading, sender_table
from smsgate.errors import ConfigError, Conflict, NotFound
from smsgate.flows.sending_limits import SendingLimits
from smsgate.links.counts import CarrierCounts
from smsgate.links.switchboard import Changes
from smsgate.routing.rules import Candidate, Rule
from smsgate.routing.table import NO_ROUTES
from smsgate.store.pool import Database
from tests.cli.carriers import write_config
from tests.flows.test_long_texts import LONG
from tests.flows.test_recovery import books
from tests.flows.test_routing import received, two_carriers
from tests.flows.world import (
    FIRST_MSISDN,
    OTHER_SENDER,
    SENDER,
    World,
    a_simulator,
    a_world,
    eventually,
)

FIRST_THEN_OTHER = Rule("all", (Candidate("sim", 1), Candidate("other", 2)))


def tokens(gateway: Gateway, carrier: str) -> set[int]:
    """Return the connections of a carrier: a new bind would be another one."""
    account = gateway.switchboard.by_name(carrier)
    return set() if account is None else set(account._connections)


async def change(world: World, gateway: Gateway, **first: Any) -> Changes:
    """Reload with other keys of the first carrier."""
    (carrier_id, profile), *rest = world.profiles()
    return await gateway.reload([(carrier_id, profile.model_copy(update=first)), *rest], world.table())


def counts(gateway: Gateway) -> CarrierCounts:
    """Return what the first carrier's metrics are read from."""
    return gateway.switchboard.by_id(1).counts


async def both_bound(gateway: Gateway) -> None:
    await eventually(lambda: tokens(gateway, "sim") and tokens(gateway, "other"))


async def test_a_changed_carrier_binds_anew_in_the_middle_and_the_other_keeps_its_connection(
    database: Database,
) -> None:
    rules = [Rule("half", (Candidate("sim"), Candidate("other")))]
    slow = {"rate_per_s": 300, "response_latency_s": 0.02}
    async with two_carriers(database, rules, subscribers=600, **slow) as world:
        campaign_id = await world.campaign(chunk=200)
        async with world.gateway() as gateway:
            await both_bound(gateway)
            await eventually(partial(world.submitted, 50))
            before, other = tokens(gateway, "sim"), tokens(gateway, "other")
            changes = await change(world, gateway, window_max=50)
            assert (changes.rebound, changes.untouched) == (["sim"], ["other"])
            await eventually(lambda: world.finished(campaign_id))
            await eventually(lambda: tokens(gateway, "sim"))
            assert tokens(gateway, "other") == other
            assert not tokens(gateway, "sim") & before
        first, second = received(world)
        assert first
        assert second
        assert len(first) + len(second) == 600
        assert (await books(world, campaign_id))["accepted"] == 600


@pytest.mark.parametrize("how", ["reload", "stop and start"])
async def test_the_counts_of_a_carrier_go_on_after_it_is_left_with_what_its_leaving_put_in_doubt(
    database: Database, how: str
) -> None:
    """They began anew with each bind: what leaving put in doubt was in no scrape, nor in an alarm."""
    async with a_world(database, subscribers=5, response_latency_s=60.0) as world:
        world.profile_changes = {"response_timeout_s": 0.5}
        await world.campaign()
        async with world.gateway() as gateway:
            await eventually(lambda: counts(gateway).submitted == 5)
            if how == "reload":
                assert (await change(world, gateway, window_max=50)).rebound == ["sim"]
            else:
                await gateway.switchboard.stop_one("sim", gateway.leave)
                await gateway.switchboard.start_one("sim")
            found = counts(gateway)
            assert (found.submitted, found.in_doubt) == (5, 5)


async def test_what_the_parts_of_a_carrier_count_goes_on_after_it_is_left(database: Database) -> None:
    async with a_world(database, subscribers=3) as world:
        campaign_id = await world.campaign()
        async with world.gateway() as gateway:
            await eventually(lambda: world.finished(campaign_id))
            account = gateway.switchboard.by_id(1)
            for link in account._binds.links:
                link.setbacks, link.planned_rebinds = 3, 2
            account.requests.written = 4
            answers = sum(account.response_times.buckets)
            assert answers
            for window_max in (50, 60):
                await change(world, gateway, window_max=window_max)
                found = counts(gateway)
                assert (found.setbacks, found.planned_rebinds, found.requests) == (3, 2, 4)
                assert sum(gateway.switchboard.by_id(1).response_times.buckets) == answers


async def test_a_rate_a_price_list_and_senders_change_without_a_new_bind(database: Database) -> None:
    async with two_carriers(database, [], subscribers=60, rate_per_s=20) as world:
        campaign_id = await world.campaign()
        async with world.gateway() as gateway:
            await both_bound(gateway)
            before = tokens(gateway, "sim") | tokens(gateway, "other")
            await eventually(partial(world.submitted, 5))
            changes = await change(world, gateway, rate_per_s=5_000, cost_list="other-cost")
            assert (changes.adjusted, changes.rebound) == (["sim"], [])
            await eventually(lambda: world.finished(campaign_id), 2.0)
            assert tokens(gateway, "sim") | tokens(gateway, "other") == before
        assert (await books(world, campaign_id))["accepted"] == 60


async def test_a_carrier_is_added_takes_its_route_and_is_removed_again(database: Database) -> None:
    async with a_world(database, subscribers=300, rate_per_s=150) as world, a_simulator() as other:
        async with world.gateway() as gateway:
            await eventually(lambda: tokens(gateway, "sim"))
            own = tokens(gateway, "sim")
            campaign_id = await world.campaign(chunk=50)
            await eventually(partial(world.submitted, 20))
            world.other, world.other_senders = other, (SENDER,)
            world.routes = [Rule("other", (Candidate("other"), Candidate("sim", 2)))]
            changes = await gateway.reload(world.profiles(), world.table())
            assert (changes.added, changes.untouched) == (["other"], ["sim"])
            await eventually(lambda: other.smsc.log.submits >= 30)
            world.other = None
            changes = await gateway.reload(world.profiles(), NO_ROUTES)
            assert changes.removed == ["other"]
            assert gateway.switchboard.by_name("other") is None
            await eventually(lambda: world.finished(campaign_id))
            assert tokens(gateway, "sim") == own
            world.other = other
        first, second = received(world)
        assert len(first) + len(second) == 300
        assert (await books(world, campaign_id))["accepted"] == 300
        assert await world.value("SELECT count(*) FROM sent WHERE carrier_id = 2") == len(second)


async def test_what_a_removed_carrier_left_goes_to_the_senders_owner_or_is_not_sent(
    database: Database,
) -> None:
    rules = [Rule("other", (Candidate("other"),))]
    async with two_carriers(database, rules, subscribers=100, rate_per_s=50) as world:
        other = world.other
        assert other is not None
        campaign_id = await world.campaign()
        async with world.gateway() as gateway:
            await eventually(lambda: other.smsc.log.submits >= 10)
            world.other, world.routes = None, []
            await gateway.reload(world.profiles(), NO_ROUTES)
            await eventually(lambda: world.finished(campaign_id))
            assert gateway.rerouting.moved.total() > 0
        world.other = other
        first, second = received(world)
        assert len(first) + len(second) == 100
        assert first
        assert (await books(world, campaign_id))["accepted"] == 100


async def test_what_waits_of_a_sender_that_nobody_has_any_more_waits_for_one_whether_claimed_or_not(
    database: Database,
) -> None:
    """It was not sent (`sender_unknown`) where it was claimed, and waited where it was not."""
    async with two_carriers(database, [], subscribers=30, rate_per_s=20) as world:
        other = world.other
        assert other is not None
        world.other_senders = (OTHER_SENDER,)
        campaign_id = await world.campaign(sender=OTHER_SENDER)
        async with world.gateway() as gateway:
            await eventually(lambda: other.smsc.log.submits >= 5)
            for number in range(6):
                await world.system_message(number, "Bonjour", sender=OTHER_SENDER)
            await eventually(lambda: gateway.pump.held_messages)
            world.other = None
            await gateway.reload(world.profiles(), world.table())
            owned = "SELECT count(*) FROM campaign_chunk WHERE owner IS NOT NULL"
            await eventually(lambda: world.value(f"SELECT ({owned}) = 0"))
            await eventually(
                lambda: world.value("SELECT count(*) = 0 FROM interactive_queue WHERE owner IS NOT NULL")
            )
            assert not await world.finished(campaign_id)
            world.other = other
            await gateway.reload(world.profiles(), world.table())
            await eventually(lambda: world.finished(campaign_id))
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
        assert await world.value("SELECT count(*) FROM sent WHERE status <> 0") == 0
        assert other.smsc.log.submits == other.smsc.log.accepted == 36


async def test_an_offer_whose_second_number_lost_its_carrier_waits_and_goes_once_it_is_back(
    database: Database,
) -> None:
    async with two_carriers(database, [], subscribers=5) as world:
        other = world.other
        assert other is not None
        world.other_senders = (OTHER_SENDER,)
        campaigns = [await world.campaign(expires_in=timedelta(days=2), state="draft") for _ in range(2)]
        await world.execute("UPDATE offer_version SET sender_pool = $1", [OTHER_SENDER])
        async with world.gateway() as gateway:
            await world.set_state(campaigns[0], "sending")
            await eventually(lambda: world.finished(campaigns[0]))
            world.other = None
            await gateway.reload(world.profiles(), world.table())
            await world.set_state(campaigns[1], "sending")
            held = "SELECT count(*) = 1 FROM campaign_chunk WHERE hold = 'open_offer' AND state = 'ready'"
            await eventually(lambda: world.value(held))
            assert await world.value("SELECT count(*) FROM sent WHERE status = -2") == 0
            world.other = other
            await gateway.reload(world.profiles(), world.table())
            await world.execute("UPDATE campaign_chunk SET not_before = now() WHERE hold IS NOT NULL")
            await world.execute("UPDATE open_offer SET answered_at = now()")
            await eventually(lambda: world.finished(campaigns[1]))
        assert await world.value("SELECT count(*) FROM sent WHERE status = 0") == 10


async def test_of_a_removed_carrier_long_texts_not_begun_go_elsewhere_and_no_phone_gets_parts_of_two(
    database: Database,
) -> None:
    rules = [Rule("other", (Candidate("other"),))]
    async with two_carriers(database, rules, subscribers=2, rate_per_s=1) as world:
        other = world.other
        assert other is not None
        message_ids = [await world.system_message(number, LONG) for number in range(2)]
        async with world.gateway() as gateway:
            await eventually(lambda: other.smsc.log.submits and len(gateway.pump.held_messages) == 2)
            world.other, world.routes = None, []
            await gateway.reload(world.profiles(), NO_ROUTES)
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
            assert gateway.rerouting.moved == Counter({(2, 1, "down"): 3})
        rows = await world.rows("SELECT message_id, carrier_id, reason FROM sent ORDER BY 1, segment")
        assert [(row["message_id"], row["carrier_id"]) for row in rows] == [
            (message_id, carrier_id)
            for message_id, carrier_id in zip(message_ids, (2, 1), strict=True)
            for _ in range(3)
        ]
        begun = other.smsc.log.submits
        assert begun in {1, 2}
        unsent = ["sender_unknown"] * (3 - begun)
        assert [row["reason"] for row in rows] == [*[None] * begun, *unsent, *[None] * 3]
        assert world.texts_to(1) == [LONG]


async def test_a_reload_cuts_texts_anew_that_were_not_begun_and_leaves_the_cut_of_the_one_that_was(
    database: Database,
) -> None:
    async with a_world(database, subscribers=2, rate_per_s=1) as world:
        begun, waiting = [await world.system_message(number, LONG) for number in range(2)]
        async with world.gateway() as gateway:
            await eventually(lambda: world.log.submits and len(gateway.pump.held_messages) == 2)
            world.rate_per_s = 50
            world.profile_changes = {"concat": "payload"}
            await gateway.reload(world.profiles(), world.table())
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
            await eventually(lambda: world.simulator.phones.received == 2)
        assert [world.texts_to(number) for number in range(2)] == [[LONG], [LONG]]
        rows = await world.rows("SELECT message_id, segment, segments, parts, status FROM sent ORDER BY 1, 2")
        assert [tuple(row) for row in rows] == [
            *[(begun, part, 1, 3, 0) for part in (1, 2, 3)],
            (waiting, 1, 3, None, 0),
        ]


async def test_a_reload_to_an_alphabet_that_cannot_have_the_old_cut_ends_the_text_begun_and_mixes_nothing(
    database: Database,
) -> None:
    text = LONG.replace("€", " euros")
    async with a_world(database, subscribers=2, rate_per_s=1) as world:
        begun, waiting = [await world.system_message(number, text) for number in range(2)]
        async with world.gateway() as gateway:
            await eventually(lambda: world.log.submits and len(gateway.pump.held_messages) == 2)
            world.rate_per_s = 50
            world.profile_changes = {"default_alphabet": "latin1", "gsm_data_coding": 3}
            await gateway.reload(world.profiles(), world.table())
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
            await eventually(lambda: world.simulator.phones.received == 1)
        assert [world.texts_to(number) for number in range(2)] == [[], [text]]
        rows = await world.rows(
            "SELECT status, reason FROM sent WHERE message_id = $1 ORDER BY segment", begun
        )
        statuses, reasons = zip(*rows, strict=True)
        taken = statuses.count(0)  # before the reload
        assert taken > 0
        assert statuses == (0,) * taken + (-2,) * (len(rows) - taken)
        assert reasons[taken] == "not_in_alphabet"
        assert (
            await world.value("SELECT count(*) FROM sent WHERE message_id = $1 AND status = 0", waiting) == 3
        )


async def test_a_carrier_that_cannot_be_made_changes_nothing(database: Database) -> None:
    async with two_carriers(database, [FIRST_THEN_OTHER], subscribers=1) as world:
        async with world.gateway() as gateway:
            await both_bound(gateway)
            before, table = tokens(gateway, "sim") | tokens(gateway, "other"), gateway.routes.table
            with pytest.raises(ConfigError, match="ca_file"):
                await change(world, gateway, tls="verify", ca_file=Path("no/such/file.pem"))
            assert tokens(gateway, "sim") | tokens(gateway, "other") == before
            assert gateway.routes.table is table


async def test_a_carrier_whose_tls_file_is_gone_is_not_called_stopped_while_it_works(
    database: Database,
) -> None:
    async with a_world(database, subscribers=1) as world, world.gateway() as gateway:
        await eventually(lambda: tokens(gateway, "sim"))
        account = gateway.switchboard.by_name("sim")
        assert account is not None
        account.profile = account.profile.model_copy(update={"tls": "verify", "ca_file": Path("no/such.pem")})
        with pytest.raises(ConfigError, match="ca_file"):
            await gateway.switchboard.stop_one("sim", gateway.leave)
        assert gateway.switchboard.state("sim") == "running"
        await gateway.switchboard.start_one("sim")
        assert tokens(gateway, "sim")


async def test_receipts_that_came_are_acknowledged_before_a_carrier_is_left(database: Database) -> None:
    async with two_carriers(database, [], subscribers=300) as world:
        campaign_id = await world.campaign()
        async with world.gateway() as gateway:
            await both_bound(gateway)
            await eventually(partial(world.submitted, 100))
            await gateway.switchboard.stop_one("sim", gateway.leave)
            assert gateway.switchboard.state("sim") == "stopped"
            assert tokens(gateway, "sim") == set()
            assert world.log.receipts_acknowledged == world.log.receipts_written >= 100
            await gateway.switchboard.start_one("sim")
            await eventually(lambda: world.finished(campaign_id))
            await eventually(lambda: world.value("SELECT count(*) = 300 FROM receipt"))
            assert world.log.written_again == 0
        assert Counter(world.log.by_destination.values()) == {1: 300}


async def test_a_drained_carrier_sends_nothing_and_still_hears(database: Database) -> None:
    limits = SendingLimits(poll_s=0.02, failover_s=0.5)
    async with two_carriers(database, [FIRST_THEN_OTHER], subscribers=40, limits=limits) as world:
        async with world.gateway() as gateway:
            await both_bound(gateway)
            own = tokens(gateway, "sim")
            await gateway.switchboard.drain_one("sim")
            assert gateway.switchboard.state("sim") == "draining"
            campaign_id = await world.campaign()
            await eventually(lambda: world.finished(campaign_id))
            world.answer(1, "STOP")
            await eventually(lambda: gateway.intake.taken == 1)
            assert tokens(gateway, "sim") == own
            await gateway.switchboard.start_one("sim")
            assert gateway.switchboard.state("sim") == "running"
            with pytest.raises(NotFound, match="there are other, sim"):
                await gateway.switchboard.drain_one("nobody")
        first, second = received(world)
        assert first <= {FIRST_MSISDN + 1}  # the confirmation of its STOP
        assert len(second) >= 39


async def test_a_file_cut_short_empties_no_senders_of_a_process_without_carriers_of_its_own(
    database: Database, tmp_path: Path
) -> None:
    """The process of the API takes offers by the senders of the file, and binds nowhere."""
    path = write_config(tmp_path / "smsgate.toml", smpp="127.0.0.1:1")
    whole = '[node]\nroles = ["api"]\n' + path.read_text("utf-8")
    path.write_text(whole, "utf-8")
    settings = load_settings(path)
    senders = sender_table(settings)
    before = dict(senders)
    reloading = Reloading(settings, database, None, senders, lambda: load_settings(path))
    path.write_text(whole[: whole.index("[[carriers]]")], "utf-8")
    with pytest.raises(Conflict, match="sim would be removed") as caught:
        await reloading.reload()
    assert caught.value.code == "carriers_would_be_removed"
    assert "start this process again" in str(caught.value)
    assert senders == before != {}
    path.write_text(whole.replace(str(next(iter(before))), "36999"), "utf-8")
    await reloading.reload()
    assert set(senders) == {"36999"}
    path.write_text(whole[: whole.index("[[carriers]]")], "utf-8")
    await reloading.reload(remove_all_carriers=True)
    assert senders == {}
    await reloading.reload()  # nothing is left to be lost
