"""What ESMEs submitted leaves the queue only as long as its account, and the merchant, may send."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from smsgate.flows.esme_records import AccountDraft, EsmeAccount, Purpose, Replacement, Submission
from smsgate.flows.records import SubmittedClaim
from smsgate.ids import IdMaker
from smsgate.protocol.commands import CommandId
from smsgate.protocol.pdus import encode_body
from smsgate.store.esme_traffic import PgEsmeTraffic
from smsgate.store.esmes import PgEsmeAccounts
from smsgate.store.pool import Database
from smsgate.store.sending import StoredSending
from tests.flows.statements import statements
from tests.flows.world import (
    FIRST_MSISDN,
    MERCHANT,
    OTHER_SENDER,
    PUBLIC_IDS,
    SENDER,
    World,
    a_world,
    eventually,
)

ACCOUNT = 77
OWNER = 5
HOUR, OVER = timedelta(hours=1), timedelta(seconds=-1)
REPLACED = 1_500  # messages; their claim takes some 20 ms
BODY = encode_body(CommandId.SUBMIT_SM, {"short_message": b"x"})


class _Queue:
    """The queue of one account, with a message that is valid for an hour and one that is over."""

    def __init__(self, world: World) -> None:
        self.now = datetime.now(UTC)
        ids = IdMaker(OWNER, lambda: int(self.now.timestamp() * 1000))
        self.ids = ids
        self.accounts = PgEsmeAccounts(world.database)
        self.traffic = PgEsmeTraffic(world.database, ids)
        self.sending = StoredSending(world.database, ids, PUBLIC_IDS)

    async def fill(
        self,
        lives: Sequence[timedelta] = (HOUR, OVER),
        purpose: Purpose = Purpose.TRANSACTIONAL,
        account_id: int = ACCOUNT,
        sender: str = SENDER,
    ) -> list[int]:
        account = await self.accounts.add(
            AccountDraft(MERCHANT, account_id, f"clinic{account_id}", purpose, b"mac", (sender,))
        )
        stored = await self.traffic.add_submissions(
            [self._submission(account, sender, self.now + life) for life in lives],
            [self.ids.next() for _ in lives],
            now=self.now,
        )
        return [outcome.message_id for outcome in stored]

    def _submission(self, account: EsmeAccount, sender: str, expires_at: datetime) -> Submission:
        return Submission(account, FIRST_MSISDN, sender, 1, 1, BODY, expires_at)

    async def claims(
        self, limit: int, *, marketing: bool = False, senders: Sequence[str] = (SENDER,)
    ) -> list[SubmittedClaim]:
        return await self.sending.claim_submitted(
            owner=OWNER, limit=limit, senders=senders, now=self.now, marketing=marketing
        )

    async def served(self, limit: int, *senders: str) -> list[tuple[int, int]]:
        """Claim of accounts; return who got how many."""
        return [
            (claim.account_id, len(claim.message_ids)) for claim in await self.claims(limit, senders=senders)
        ]

    async def served_merchants(self, limit: int, *senders: str) -> list[tuple[int, int]]:
        """Claim of merchants; return who got how many."""
        claims = await self.sending.claim_interactive(owner=OWNER, limit=limit, senders=senders, now=self.now)
        return [(claim.merchant_id, len(claim.message_ids)) for claim in claims]

    async def claimed(self) -> list[int]:
        return [message_id for claim in await self.claims(10) for message_id in claim.message_ids]


async def test_a_replacement_that_meets_a_claim_is_what_is_sent_or_is_refused(database: Database) -> None:
    """Thousands are claimed in one statement, so that replacements fall between its look and its locks."""
    async with a_world(database, subscribers=1) as world:
        queue = _Queue(world)
        message_ids = await queue.fill([HOUR] * REPLACED)
        (account,) = await queue.accounts.all()
        claiming = asyncio.create_task(queue.claims(REPLACED))
        replaced: dict[int, bytes] = {}
        for message_id in reversed(message_ids):
            body = encode_body(CommandId.SUBMIT_SM, {"short_message": b"new"})
            if await queue.traffic.replace(account, message_id, Replacement(body, 0, 1, None), queue.now):
                replaced[message_id] = body
            elif claiming.done():
                break
        sent: dict[int, bytes] = {}
        for claim in await claiming:
            sent |= zip(claim.message_ids, claim.bodies, strict=True)
        assert replaced, "no replacement came before the claim"
        assert [id_ for id_, body in replaced.items() if sent.get(id_, body) != body] == []


@pytest.mark.parametrize(("whose", "state"), [("esme_account", "disabled"), ("merchant", "suspended")])
async def test_what_waits_of_an_account_that_may_not_send_stays_until_it_may_or_is_over(
    database: Database, whose: str, state: str
) -> None:
    async with a_world(database, subscribers=1) as world:
        queue = _Queue(world)
        waiting, over = await queue.fill()
        await world.execute(f"UPDATE {whose} SET state = '{state}'")
        assert await queue.claimed() == [over]
        await world.execute(f"UPDATE {whose} SET state = 'active'")
        assert await queue.claimed() == [waiting]


async def test_what_is_over_is_claimed_to_be_told_so_whatever_it_would_have_cost(database: Database) -> None:
    async with a_world(database, subscribers=1) as world:
        queue = _Queue(world)
        waiting, over = await queue.fill()
        (claim,) = await queue.claims(10)
        assert dict(zip(claim.message_ids, claim.reasons, strict=True)) == {waiting: None, over: "expired"}


async def test_accounts_take_turns_also_where_a_claim_has_no_room_for_all_of_them(
    database: Database,
) -> None:
    """Each claim began with the lowest id: behind a slow carrier the others' messages expired."""
    async with a_world(database, subscribers=1) as world:
        queue, accounts = _Queue(world), [ACCOUNT + n for n in range(3)]
        for account_id in accounts:
            await queue.fill([HOUR] * 12, account_id=account_id)

        first, second, third = accounts
        assert [await queue.served(2, SENDER) for _ in accounts] == [
            [(first, 1), (second, 1)],
            [(third, 1), (first, 1)],
            [(second, 1), (third, 1)],
        ]
        assert [await queue.served(1, SENDER) for _ in accounts] == [[(each, 1)] for each in accounts]
        # Nor has one of them more of each claim for good, where all are in it.
        assert [await queue.served(5, SENDER) for _ in accounts] == [
            [(first, 2), (second, 2), (third, 1)],
            [(third, 2), (first, 2), (second, 1)],
            [(second, 2), (third, 2), (first, 1)],
        ]


async def test_accounts_of_one_carrier_take_turns_whoever_is_served_by_another_in_between(
    database: Database,
) -> None:
    """The turn was one for all carriers: each claim of the one began behind who was served by the other."""
    async with a_world(database, subscribers=1) as world:
        queue, accounts = _Queue(world), [ACCOUNT + n for n in range(3)]
        for account_id in accounts:
            await queue.fill([HOUR] * 3, account_id=account_id)
        others = ACCOUNT + 3
        await queue.fill([HOUR] * 3, account_id=others, sender=OTHER_SENDER)
        for account_id in accounts:
            assert await queue.served(1, SENDER) == [(account_id, 1)]
            assert await queue.served(1, OTHER_SENDER) == [(others, 1)]


async def test_what_is_over_takes_no_turn_from_its_account(database: Database) -> None:
    """No carrier's room is used for it."""
    async with a_world(database, subscribers=1) as world:
        queue, accounts = _Queue(world), [ACCOUNT + n for n in range(3)]
        second = accounts[1]
        for account_id in accounts:
            await queue.fill([OVER if account_id == second else HOUR, HOUR], account_id=account_id)
        assert await queue.served(1) == [(second, 1)]  # without a carrier, what is over
        assert [await queue.served(1, SENDER) for _ in accounts] == [[(each, 1)] for each in accounts]


async def test_accounts_with_much_that_is_over_take_turns_with_the_others(database: Database) -> None:
    """They stayed first in each claim until all of it was drained, and the carrier stood idle."""
    async with a_world(database, subscribers=1) as world:
        queue = _Queue(world)
        for account_id in range(ACCOUNT, ACCOUNT + 5):
            await queue.fill([OVER] * 10, account_id=account_id)
        await queue.fill([HOUR], account_id=ACCOUNT + 5)
        served = [await queue.served(5, SENDER) for _ in range(2)]
        assert served[1][0] == (ACCOUNT + 5, 1)


async def test_what_the_texts_of_full_carriers_leave_of_a_claim_goes_to_the_accounts_of_others(
    database: Database,
) -> None:
    """Shares were of all accounts that wait, so a carrier with more to do stood idle until the next look."""
    async with a_world(database, subscribers=1) as world:
        queue = _Queue(world)
        await queue.fill([HOUR] * 10)
        await queue.fill([HOUR] * 10, account_id=ACCOUNT + 1, sender=OTHER_SENDER)
        assert await queue.served(8, SENDER) == [(ACCOUNT, 8)], (
            "in one claim, which asks its budget for all of it"
        )


async def test_marketing_and_what_people_expect_are_claimed_apart(database: Database) -> None:
    async with a_world(database, subscribers=1) as world:
        queue = _Queue(world)
        await queue.fill([HOUR] * 2, Purpose.MARKETING)
        await queue.fill([HOUR] * 2, account_id=ACCOUNT + 1)
        assert [claim.account_id for claim in await queue.claims(10)] == [ACCOUNT + 1]
        assert [claim.account_id for claim in await queue.claims(10, marketing=True)] == [ACCOUNT]


async def test_merchants_texts_take_turns_too(database: Database) -> None:
    async with a_world(database, subscribers=4) as world:
        merchants = [MERCHANT, MERCHANT + 1, MERCHANT + 2]
        for merchant in merchants[1:]:
            await world.another_merchant(merchant, 4)
        for number in range(4):
            for merchant in merchants:
                await world.system_message(number, "Bonjour", merchant=merchant)
        queue = _Queue(world)
        first, second, third = merchants
        assert [await queue.served_merchants(2, SENDER) for _ in merchants] == [
            [(first, 1), (second, 1)],
            [(third, 1), (first, 1)],
            [(second, 1), (third, 1)],
        ]


async def test_merchants_of_one_carrier_take_turns_whoever_is_served_by_another_in_between(
    database: Database,
) -> None:
    async with a_world(database, subscribers=4) as world:
        others = MERCHANT + 3
        merchants = [MERCHANT, MERCHANT + 1, MERCHANT + 2]
        for merchant in [*merchants[1:], others]:
            await world.another_merchant(merchant, 4)
        for number in range(3):
            for merchant in merchants:
                await world.system_message(number, "Bonjour", merchant=merchant)
            await world.system_message(number, "Bonjour", merchant=others, sender=OTHER_SENDER)
        queue = _Queue(world)
        for merchant in merchants:
            assert await queue.served_merchants(1, SENDER) == [(merchant, 1)]
            assert await queue.served_merchants(1, OTHER_SENDER) == [(others, 1)]


async def test_what_is_over_takes_no_turn_from_its_merchant(database: Database) -> None:
    async with a_world(database, subscribers=4) as world:
        merchants = [MERCHANT, MERCHANT + 1, MERCHANT + 2]
        for merchant in merchants[1:]:
            await world.another_merchant(merchant, 4)
        for number in range(2):
            for merchant in merchants:
                await world.system_message(number, "Bonjour", merchant=merchant)
        queue, second = _Queue(world), merchants[1]
        await world.execute(
            "UPDATE interactive_queue SET expires_at = $2 WHERE message_id = "
            "(SELECT min(message_id) FROM interactive_queue WHERE merchant_id = $1)",
            second,
            queue.now + OVER,
        )
        assert await queue.served_merchants(1) == [(second, 1)]  # without a carrier, what is over
        assert [await queue.served_merchants(1, SENDER) for _ in merchants] == [
            [(each, 1)] for each in merchants
        ]


async def test_marketing_that_waited_until_its_consent_was_old_is_looked_at_anew_and_sent(
    database: Database,
) -> None:
    async with a_world(database, subscribers=1, rate_per_s=2) as world:
        queue = _Queue(world)
        await queue.fill([HOUR] * 6, Purpose.MARKETING)
        async with world.gateway() as gateway:
            await eventually(lambda: gateway.pump.submitted >= 1)
            gateway.pump.look.stops.overflowed += 1  # STOPs were forgotten: what is in memory counts no more
            sent = "SELECT count(*) FROM sent WHERE status = 0"
            await eventually(lambda: _is(world, sent, 6), timeout_s=20.0)
        assert world.simulator.smsc.log.submits == 6
        assert await _is(world, "SELECT count(*) FROM sent", 6)
        assert await _is(world, "SELECT count(*) FROM interactive_queue", 0)


async def test_marketing_for_which_there_is_no_room_is_not_read_in_every_turn_of_the_others(
    database: Database,
) -> None:
    async with a_world(database, subscribers=1, rate_per_s=1) as world:
        queue = _Queue(world)
        await queue.fill([HOUR] * 20, Purpose.MARKETING)
        async with world.gateway() as gateway:
            await eventually(lambda: gateway.pump.submitted >= 1)
            await eventually(lambda: len(gateway.pump.held_messages) >= 5)
            async with statements(world.database) as found:
                for _ in range(50):
                    await gateway.claiming.interactive_once()
            assert found.count("sending.take_submitted") <= 5
            (over,) = await queue.fill([OVER], account_id=ACCOUNT + 1)
            await eventually(
                lambda: _is(
                    world, f"SELECT count(*) FROM sent WHERE message_id = {over} AND reason = 'expired'", 1
                )
            )


async def _is(world: World, sql: str, value: int) -> bool:
    return bool(await world.value(sql) == value)
