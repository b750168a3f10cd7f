"""
Offers, replies, STOPs, receipts, the shop's answers, time and crashes in any order, on a real gateway.

A real PostgreSQL, real sockets to a simulated SMSC, and a clock that is moved instead of waited for. One
gateway serves all examples, each with a merchant and people of its own; after every step the books are held
to what the phones and the SMSC have seen. COMMERCE_EXAMPLES=500 makes it longer, with other examples each
time (`make commerce`); without it they are the same each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Concatenate, Final, ParamSpec, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from smsgate.daemon.gateway import Gateway
from smsgate.errors import Conflict, Invalid, NotFound, TransitionRefused
from smsgate.flows.offer_changes import OfferChanges
from smsgate.flows.order_proof import OrderProofs
from smsgate.flows.orders import Orders
from smsgate.ids import IdMaker
from smsgate.security.proof_stamps import verify
from smsgate.security.public_ids import PublicIds
from smsgate.simulator.mobile_originated import Mo
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.order_proof import PgOrderProofs
from smsgate.store.orders import PgOrders
from smsgate.store.partitions import make_ahead
from smsgate.store.pool import Database, PoolSizes
from smsgate.store.verify import PgVerify
from tests.acceptance.town import MovableClock
from tests.flows.world import (
    MO_MICROS,
    OFFER_TEXT,
    SENDER,
    STAMPS,
    UNIT_MICROS,
    Nudges,
    World,
    a_world,
    changes_of,
    eventually,
)

PROOF_KEY: Final = STAMPS.key
T = TypeVar("T")
P = ParamSpec("P")

EXAMPLES: Final = int(os.environ.get("COMMERCE_EXAMPLES", "0"))
EXAMPLES_IN_SHORT: Final = 4
STEPS: Final = 16
PEOPLE: Final = 3
OFFER_BEGINS: Final = OFFER_TEXT[:19]  # and then comes the price
WINDOW: Final = 2  # one of which campaigns leave free
SLOW_S: Final = 0.3  # in which the gateway hears a STOP, mostly: the judge says what came after it
LIFE: Final = timedelta(minutes=45)  # of an offer; under 30 it would not be sent any more
# Past what a redelivery is told by, past the time that a question holds stock, past an offer and its grace,
# past a question's life and a shop's silence.
WHILES_S: Final = (61.0, 660.0, 3_700.0, 90_000.0)
PARTITIONS_DAYS: Final = 2  # ahead
YES: Final = ("OK", "oui", "ok merci", "2", "OK 2", "OK 9")
OTHERS: Final = (
    "NON", "peut-être", "je n'ai rien commandé", "NON {number}", "J'aime «OK»", "j'annule ma commande",
    "je me rétracte",
)  # fmt: skip
# Replies that end in one text each; what was placed is `ordered`.
ANSWERED_ONCE: Final = frozenset(
    ("ordered", "repeated", "sold_out", "over_maximum", "ask", "late", "closed", "cancelled",
     "cancel_requested", "withdrawn", "disputed", "which_order")
)  # fmt: skip
AGREED: Final = "subscribed"
# Chunks that wait for an hour, or for a piece of what is sold out, have nothing to do now.
NOTHING_WAITS: Final = """
    SELECT NOT EXISTS (SELECT FROM interactive_queue)
        AND NOT EXISTS (SELECT FROM campaign_chunk k JOIN campaign USING (merchant_id, campaign_id)
                        JOIN offer o USING (merchant_id, offer_id)
                        WHERE merchant_id = $1 AND k.state <> 'done'
                        AND (k.hold IS NULL OR k.not_before <= $2) AND o.stock_remaining IS DISTINCT FROM 0)
        AND NOT EXISTS (SELECT FROM campaign c
                        WHERE merchant_id = $1 AND state NOT IN ('finished', 'cancelled')
                        AND NOT EXISTS (SELECT FROM campaign_chunk k WHERE k.merchant_id = c.merchant_id
                                        AND k.campaign_id = c.campaign_id AND k.state <> 'done'))
"""
CLAIMED: Final = """
    SELECT NOT EXISTS (SELECT FROM campaign_chunk
                       WHERE merchant_id = $1 AND campaign_id = $2 AND state = 'ready' AND hold IS NULL)
"""
MESSAGES: Final = """
    SELECT m.msisdn, m.kind, coalesce(m.body, v.text) AS text, s.status, s.segments, s.sell_micros,
        EXISTS (SELECT FROM campaign_chunk k WHERE k.merchant_id = m.merchant_id
                AND k.campaign_id = m.campaign_id AND k.state <> 'done'
                AND (k.hold IS NOT NULL OR o.stock_remaining = 0)) AS waits
    FROM message m LEFT JOIN sent s USING (merchant_id, message_id)
    LEFT JOIN campaign c USING (merchant_id, campaign_id)
    LEFT JOIN offer_version v ON v.merchant_id = c.merchant_id AND v.offer_id = c.offer_id
        AND v.version = c.offer_version
    LEFT JOIN offer o ON o.merchant_id = c.merchant_id AND o.offer_id = c.offer_id
    WHERE m.merchant_id = $1
"""
people = st.integers(0, PEOPLE - 1)


class Stage:
    """The gateway, its world and the loop that they run in."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._stack = AsyncExitStack()
        self._life = AsyncExitStack()
        self.clock = MovableClock()
        self.world: World
        self.gateway: Gateway
        self.orders: Orders
        self.proofs: OrderProofs
        self.changes: OfferChanges
        self.merchants = 100
        self.failed: tuple[BaseException, list[str]] | None = None  # the first time

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    async def begin(self, server: EmbeddedPostgres, database_name: str) -> None:
        sizes = PoolSizes(api=2, bulk=6, report=1, control=3)
        opened = await Database.open(server, database=database_name, migrate=False, sizes=sizes)
        database = await self._stack.enter_async_context(opened)
        self.world = await self._stack.enter_async_context(
            a_world(database, subscribers=0, receipt_delay_s=(0.0, 0.03))
        )
        self.world.clock, self.world.window_max = self.clock, WINDOW
        ids = IdMaker(60, lambda: int(self.clock.now().timestamp() * 1000))
        self.orders = Orders(PgOrders(database, STAMPS), ids, self.clock, PublicIds(bytes(32)), Nudges())
        proofs = PgOrderProofs(database, STAMPS, self.clock)
        self.proofs = OrderProofs(proofs, STAMPS.public_ids, self.clock, PROOF_KEY)
        await self.start()

    async def skip(self, seconds: float) -> None:
        """Let time pass; housekeeping makes partitions before they are needed."""
        later = self.clock.now() + timedelta(seconds=seconds)
        async with self.world.database.control() as connection:
            await make_ahead(connection, later, PARTITIONS_DAYS)
        self.clock.skip(seconds)
        while await self.orders.fire_due():
            pass

    async def start(self) -> None:
        self.gateway = await self._life.enter_async_context(self.world.killed_gateway())
        self.changes = changes_of(self.world, self.gateway.pump.look.stops, self.clock)

    async def kill(self) -> None:
        await self._life.aclose()

    async def end(self) -> None:
        await self.kill()
        await self._stack.aclose()


def kept(
    work: Callable[Concatenate[Commerce, P], None],
) -> Callable[Concatenate[Commerce, P], None]:
    """Keep the first failure and what led to it: sockets and processes never do the very same again."""

    @functools.wraps(work)
    def done(machine: Commerce, /, *args: P.args, **kwargs: P.kwargs) -> None:
        if kwargs:  # a rule and what was drawn for it; invariants have nothing drawn
            machine.story.append(f"{work.__name__} {kwargs}")
        try:
            work(machine, *args, **kwargs)
        except Exception as exc:
            machine.stage.failed = machine.stage.failed or (exc, machine.story)
            raise

    return done


class Commerce(RuleBasedStateMachine):
    """One merchant with a few people, and what they and the shop do."""

    stage: ClassVar[Stage]

    def __init__(self) -> None:
        super().__init__()
        stage = self.stage
        self.world = stage.world
        self.story: list[str] = []
        stage.merchants += 1
        self.merchant = stage.merchants
        self.first: int = stage.run(self.world.another_merchant(self.merchant, PEOPLE))
        self.mos: list[Mo] = []
        self.said: list[list[str]] = [[] for _ in range(PEOPLE)]
        self.consent = [AGREED] * PEOPLE  # the last word of each
        self.silent: dict[int, int] = {}  # who gets no marketing, and how many offers each had by then
        self.stock: dict[int, int | None] = {}  # by offer
        self.withdrawn: dict[int, int] = {}  # offers, and how many orders they had

    def rows(self, sql: str, *args: object) -> list[Any]:
        """Return rows of this merchant, which is $1."""
        return self.stage.run(self.world.rows(sql, self.merchant, *args))

    def settle(self) -> None:
        """Wait until nothing moves any more."""
        self.stage.run(self._settled())

    async def _settled(self) -> None:
        world, pump = self.world, self.stage.gateway.pump
        await eventually(lambda: all(mo.taken for mo in self.mos))
        await eventually(lambda: world.value(NOTHING_WAITS, self.merchant, self.stage.clock.now()))
        await eventually(lambda: not pump.batches() and not pump.uncommitted)
        await eventually(lambda: world.simulator.smsc._under_way == 0)

    def campaign(self, stock: int | None, quantity_max: int, ask_above_minor: int | None = None) -> int:
        skipped = self.stage.clock.now() - datetime.now(UTC)
        made = self.world.campaign(
            stock=stock,
            quantity_max=quantity_max,
            merchant=self.merchant,
            expires_in=skipped + LIFE,
            ask_above_minor=ask_above_minor,
        )
        campaign_id = self.stage.run(made)
        (row,) = self.rows(
            "SELECT offer_id FROM campaign WHERE merchant_id = $1 AND campaign_id = $2", campaign_id
        )
        self.stock[row["offer_id"]] = stock
        return campaign_id

    def an_offer(self, which: int) -> int | None:
        """Return one of the offers, if there is one."""
        return sorted(self.stock)[which % len(self.stock)] if self.stock else None

    def send(self, person: int, text: str) -> None:
        """Let a phone say something, whether or not anybody hears it now."""
        numbers = self.rows(
            "SELECT number FROM orders WHERE merchant_id = $1 AND msisdn = $2 ORDER BY order_id DESC",
            self.first + person,
        )
        text = text.format(number=numbers[0]["number"] if numbers else "87654321")
        self.said[person].append(text)
        self.mos.append(self.world.simulator.smsc.send_mo(self.first + person, SENDER, text, "smsgate"))

    def wants(self, person: int, state: str) -> None:
        """Note what a person said last, all of which has been heard; a block is the last word of all."""
        if self.consent[person] != "blocked":
            self.consent[person] = state
        self.silent.pop(person, None)
        if self.consent[person] != AGREED:
            self.silent[person] = self.offers_to(person)

    def offers_to(self, person: int) -> int:
        """Return how many offers the phone has, of whatever price."""
        return sum(text.startswith(OFFER_BEGINS) for text in self.texts_of(self.first + person))

    # ------------------------------------------------------------ what happens

    @rule(
        stock=st.sampled_from([None, 0, 1, 2, 4]),
        quantity_max=st.sampled_from([1, 3]),
        ask_above_minor=st.sampled_from([None, None, 2_000]),
    )
    @kept
    def an_offer_goes_out(self, stock: int | None, quantity_max: int, ask_above_minor: int | None) -> None:
        self.campaign(stock, quantity_max, ask_above_minor)
        self.settle()

    @rule(person=people, text=st.sampled_from(YES))
    @kept
    def somebody_says_yes(self, person: int, text: str) -> None:
        self.send(person, text)
        self.settle()

    @rule(person=people, text=st.sampled_from(OTHERS))
    @kept
    def somebody_says_something_else(self, person: int, text: str) -> None:
        self.send(person, text)
        self.settle()

    @rule(texts=st.lists(st.tuples(people, st.sampled_from(YES)), min_size=2, max_size=6))
    @kept
    def many_say_yes_at_once(self, texts: list[tuple[int, str]]) -> None:
        for person, text in texts:
            self.send(person, text)
        self.settle()

    @rule(person=people)
    @kept
    def somebody_stops(self, person: int) -> None:
        self.send(person, "STOP")
        self.settle()
        self.wants(person, "unsubscribed")

    @rule(person=people)
    @kept
    def somebody_pauses(self, person: int) -> None:
        """For longer than an example: only a START ends it."""
        self.stage.run(self.stage.skip(WHILES_S[1]))  # within it a second PAUSE is a redelivery
        self.send(person, "PAUSE 2 mois")
        self.settle()
        if self.consent[person] == AGREED:
            self.wants(person, "paused")

    @rule(person=people)
    @kept
    def somebody_says_that_the_number_is_wrong(self, person: int) -> None:
        self.send(person, "Mauvais numéro!")
        self.settle()
        self.wants(person, "blocked")

    @rule(person=people)
    @kept
    def somebody_comes_back(self, person: int) -> None:
        self.stage.run(self.stage.skip(WHILES_S[1]))  # within it a second START is a redelivery
        self.send(person, "START")
        self.settle()
        self.wants(person, AGREED)

    @rule(person=people, stock=st.sampled_from([None, 1]))
    @kept
    def a_stop_meets_an_offer_that_is_on_its_way(self, person: int, stock: int | None) -> None:
        self.campaign(stock, 1)
        self.send(person, "STOP")
        self.settle()
        self.wants(person, "unsubscribed")

    @rule(person=people)
    @kept
    def a_stop_meets_an_offer_that_is_claimed_and_waits_for_its_turn(self, person: int) -> None:
        """The carrier answers slowly, and takes one offer at a time: a claim read consent before the STOP."""
        carrier = self.world.simulator.smsc.settings
        carrier.response_latency_s = SLOW_S
        try:
            campaign_id = self.campaign(None, 1)
            self.stage.run(eventually(lambda: self.world.value(CLAIMED, self.merchant, campaign_id)))
            self.send(person, "STOP")
            self.stage.run(eventually(lambda: self.mos[-1].taken))
        finally:
            carrier.response_latency_s = 0.0
        self.settle()
        self.wants(person, "unsubscribed")

    @rule(
        text=st.sampled_from(["OK", "STOP", "NON"]),
        person=people,
        offers=st.booleans(),
        after_s=st.sampled_from([0.0, 0.002, 0.005, 0.02]),
    )
    @kept
    def the_gateway_dies(self, text: str, person: int, offers: bool, after_s: float) -> None:
        """In the middle of a reply and perhaps of a campaign; the SMSC brings again what nobody answered."""
        if offers:
            self.campaign(2, 1)
        self.send(person, text)
        self.stage.run(asyncio.sleep(after_s))
        self.stage.run(self.stage.kill())
        self.stage.run(self.stage.start())
        self.settle()
        if text == "STOP":
            self.wants(person, "unsubscribed")

    @rule(seconds=st.sampled_from(WHILES_S))
    @kept
    def time_passes(self, seconds: float) -> None:
        self.stage.run(self.stage.skip(seconds))
        self.settle()

    @rule(decision=st.sampled_from(["confirm", "reject", "cancel", "fulfil"]), which=st.integers(0, 5))
    @kept
    def the_shop_answers(self, decision: str, which: int) -> None:
        found = self.rows("SELECT order_id FROM orders WHERE merchant_id = $1 ORDER BY order_id")
        if not found:
            return
        order_id, orders = found[which % len(found)]["order_id"], self.stage.orders
        with contextlib.suppress(TransitionRefused, Conflict, Invalid):
            if decision == "fulfil":
                self.stage.run(orders.fulfil(self.merchant, order_id, self.stage.clock.now()))
            else:
                self.stage.run(getattr(orders, decision)(self.merchant, order_id))
        self.settle()

    @rule(which=st.integers(0, 5), pieces=st.sampled_from([0, 1, 3, 5]))
    @kept
    def the_shop_changes_a_stock(self, which: int, pieces: int) -> None:
        offer_id = self.an_offer(which)
        if offer_id is not None:
            with contextlib.suppress(TransitionRefused, Conflict):
                self.stage.run(self.stage.changes.set_stock(self.merchant, offer_id, pieces))
                self.stock[offer_id] = pieces

    @rule(which=st.integers(0, 5), person=people)
    @kept
    def the_shop_withdraws_an_offer_while_somebody_says_yes(self, which: int, person: int) -> None:
        offer_id = self.an_offer(which)
        if offer_id is None:
            return
        self.send(person, "OK")
        self.stage.run(self.stage.changes.withdraw(self.merchant, offer_id))
        self.settle()
        self.withdrawn.setdefault(offer_id, self.orders_of(offer_id))

    @rule(which=st.integers(0, 5), price=st.sampled_from([990, 1490]))
    @kept
    def the_shop_publishes_a_version_and_sends_it(self, which: int, price: int) -> None:
        offer_id = self.an_offer(which)
        if offer_id is None:
            return
        text = OFFER_TEXT.replace("19,90", f"{price // 100},90")
        wishes = {"unit_price_minor": price, "text": text, "expires_at": self.stage.clock.now() + LIFE}
        with contextlib.suppress(TransitionRefused):
            self.stage.run(self.stage.changes.publish(self.merchant, offer_id, wishes))
            self.stage.run(self.world.send_newest(self.merchant, offer_id))
        self.settle()

    def orders_of(self, offer_id: int) -> int:
        (row,) = self.rows(
            "SELECT count(*) AS n FROM orders WHERE merchant_id = $1 AND offer_id = $2", offer_id
        )
        found: int = row["n"]
        return found

    @initialize(person=st.integers(1, PEOPLE - 1))
    @kept
    def somebody_behind_the_first_stops_in_time_and_comes_back(self, person: int) -> None:
        """Each example has it, for a few draw only some of the rules."""
        self.a_stop_meets_an_offer_that_is_claimed_and_waits_for_its_turn(person=person)
        self.who_does_not_agree_gets_no_marketing()
        self.somebody_comes_back(person=person)

    # ------------------------------------------------------------ what always holds

    @invariant()
    @kept
    def a_withdrawn_offer_orders_nothing_more(self) -> None:
        for offer_id, orders in self.withdrawn.items():
            assert self.orders_of(offer_id) == orders

    @invariant()
    @kept
    def an_order_is_on_the_terms_of_the_version_that_was_sent(self) -> None:
        rows = self.rows(
            "SELECT r.offer_version = c.offer_version AND r.unit_price_minor = v.unit_price_minor "
            "AND r.quantity <= v.quantity_max AS so FROM orders r "
            "JOIN message m USING (merchant_id, message_id) "
            "JOIN campaign c ON c.merchant_id = $1 AND c.campaign_id = m.campaign_id "
            "JOIN offer_version v ON v.merchant_id = $1 AND v.offer_id = c.offer_id "
            "AND v.version = c.offer_version WHERE r.merchant_id = $1"
        )
        assert all(row["so"] for row in rows)
        assert len(rows) == sum(map(self.orders_of, self.stock))

    @invariant()
    @kept
    def stock_is_never_oversold(self) -> None:
        rows = self.rows(
            "SELECT offer_id, stock, stock_remaining, coalesce((SELECT sum(quantity) FROM orders r WHERE "
            "r.merchant_id = o.merchant_id AND r.offer_id = o.offer_id AND r.stock_held), 0)::int AS held "
            "FROM offer o WHERE merchant_id = $1"
        )
        for row in rows:
            stock = self.stock[row["offer_id"]]
            assert row["stock"] == stock
            if stock is not None:
                assert 0 <= row["stock_remaining"] == stock - row["held"], dict(row)

    @invariant()
    @kept
    def an_acceptance_is_one_order_and_nothing_else_is(self) -> None:
        orders = self.rows(
            "SELECT r.msisdn, r.message_id, r.nth, r.placed_at, i.inbound_id, i.label, i.msisdn AS by, "
            "(SELECT count(*) FROM event e WHERE e.merchant_id = $1 AND e.type = 'order.created' "
            "AND e.data ->> 'number' = r.number) AS told FROM orders r "
            "LEFT JOIN inbound_message i USING (merchant_id, inbound_id) WHERE merchant_id = $1"
        )
        assert all(row["label"] in {"accept", "quantity"} and row["msisdn"] == row["by"] for row in orders)
        assert len({row["inbound_id"] for row in orders}) == len(orders)
        assert len({(row["message_id"], row["nth"]) for row in orders}) == len(orders)
        replies = self.rows("SELECT msisdn, text, outcome FROM inbound_message WHERE merchant_id = $1")
        placed = [row for row in orders if row["placed_at"] is not None]
        assert sum(row["outcome"] == "ordered" for row in replies) == len(placed)
        assert all(row["told"] == (row["placed_at"] is not None) for row in orders)
        for person in range(PEOPLE):
            heard = Counter(
                row["text"]
                for row in replies
                if row["msisdn"] == self.first + person and row["outcome"] != "repetition"
            )
            assert heard <= Counter(self.said[person])  # what the carrier brought again is there once

    @invariant()
    @kept
    def who_does_not_agree_gets_no_marketing(self) -> None:
        """From the answer to a STOP on, as the SMSC judges; of every other word from its step on."""
        assert self.world.simulator.smsc.judge.offers_after_stop == 0
        assert {person: self.offers_to(person) for person in self.silent} == self.silent
        rows = self.rows("SELECT msisdn, offers_state FROM subscriber WHERE merchant_id = $1 ORDER BY msisdn")
        assert [row["offers_state"] for row in rows] == self.consent

    @invariant()
    @kept
    def everybody_is_told_exactly_once(self) -> None:
        answers = self.rows(
            "SELECT i.outcome, count(m.message_id)::int AS told FROM inbound_message i LEFT JOIN message m "
            "USING (merchant_id, inbound_id) WHERE merchant_id = $1 GROUP BY i.inbound_id, i.outcome"
        )
        for row in answers:
            if row["outcome"] in ANSWERED_ONCE:
                assert row["told"] == 1, dict(row)
            else:
                assert row["told"] <= 1 + (row["outcome"] == "stopped"), dict(row)
        messages = self.rows(MESSAGES)
        assert all(row["status"] is not None or (row["kind"] == "offer" and row["waits"]) for row in messages)
        for person in range(PEOPLE):
            mine = [row for row in messages if row["msisdn"] == self.first + person]
            taken = Counter(row["text"] for row in mine if row["status"] == 0)
            in_doubt = Counter(row["text"] for row in mine if row["status"] == -1)
            got = Counter(self.texts_of(self.first + person))
            assert taken <= got <= taken + in_doubt, (person, got - taken, taken - got)

    @invariant()
    @kept
    def what_was_sent_and_heard_is_in_the_ledger_once(self) -> None:
        messages = self.rows(MESSAGES)
        for row in messages:
            assert row["sell_micros"] in (None, UNIT_MICROS * row["segments"] * (row["status"] == 0)), dict(
                row
            )
        heard = self.rows("SELECT FROM inbound_message WHERE merchant_id = $1 AND outcome <> 'repetition'")
        ledger = {
            row["direction"]: row["micros"]
            for row in self.rows(
                "SELECT direction, -sum(amount_micros)::bigint AS micros FROM ledger_entry "
                "WHERE merchant_id = $1 AND account = 'revenue' GROUP BY direction"
            )
        }
        assert ledger.get("mt", 0) == sum(row["sell_micros"] or 0 for row in messages)
        assert ledger.get("mo", 0) == MO_MICROS * len(heard)

    def teardown(self) -> None:
        if self.stage.failed is None:
            assert self.stage.run(PgVerify(self.world.database).looked()).broken == []
            for row in self.rows("SELECT order_id FROM orders WHERE merchant_id = $1"):
                file = self.stage.run(self.stage.proofs.file(self.merchant, row["order_id"]))
                verdict, held = verify(file, PROOF_KEY.public)
                assert (verdict.wrong, verdict.reason, bool(held.stamped)) == (None, "", True)

    def texts_of(self, msisdn: int) -> list[str]:
        try:
            return [message.text for message in self.world.simulator.phones.inbox(msisdn)]
        except NotFound:
            return []


# A guard against a hang, and no bar: a database's start and four examples, 40 s where nothing else runs.
@pytest.mark.timeout(300 if not EXAMPLES else 60 + 30 * EXAMPLES)
def test_whatever_happens_in_whatever_order_stock_orders_consent_texts_and_money_stay_in_step(
    postgres_server: EmbeddedPostgres, database_name: str
) -> None:
    with asyncio.Runner() as runner:
        stage = Commerce.stage = Stage(runner)
        stage.run(stage.begin(postgres_server, database_name))
        try:
            run_state_machine_as_test(
                Commerce,
                settings=settings(
                    max_examples=EXAMPLES or EXAMPLES_IN_SHORT,
                    stateful_step_count=STEPS,
                    derandomize=not EXAMPLES,
                    database=None,
                    deadline=None,
                    phases=(
                        Phase.generate,
                    ),  # what failed is told as it was, since it is never the same again
                    suppress_health_check=list(HealthCheck),
                ),
            )
        except BaseException:
            if stage.failed is None:
                raise
        finally:
            stage.run(stage.end())
        if stage.failed is not None:
            exc, story = stage.failed
            raise AssertionError("\n".join(["after", *story])) from exc
