"""A merchant with subscribers, prices and a carrier: a real database, a real SMSC on a real socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from smsgate.billing.networks import default_table
from smsgate.campaigns.consent_commands import SmsRules
from smsgate.campaigns.reply_words import shared
from smsgate.clock import Clock, SystemClock
from smsgate.daemon.gateway import Gateway
from smsgate.errors import NotFound, StoreUnavailable
from smsgate.flows.audience import Audience
from smsgate.flows.gates import ALWAYS_OPEN, Gates
from smsgate.flows.offer_changes import OfferChanges
from smsgate.flows.offers import Offers
from smsgate.flows.ports import StopSet
from smsgate.flows.ports_commerce import SenderInfo
from smsgate.flows.pricing import Pricing
from smsgate.flows.sending_limits import SendingLimits
from smsgate.flows.stops import RecentStops
from smsgate.ids import IdMaker
from smsgate.kept_tables import reply_tables_at_hand
from smsgate.links.profile import CarrierProfile
from smsgate.links.profile_senders import SenderNumber
from smsgate.links.profile_session import RebindDelays
from smsgate.links.profile_values import Host
from smsgate.links.senders import senders_of
from smsgate.routing.rules import Rule
from smsgate.routing.table import RouteTable
from smsgate.security.proof_chain import ProofKey
from smsgate.security.public_ids import PublicIds
from smsgate.security.suppression import SuppressionHashes
from smsgate.simulator.mobile_originated import Mo
from smsgate.simulator.phones import SILENT, Behaviour
from smsgate.simulator.seen import SmscLog
from smsgate.simulator.serve import Simulator, SimulatorSettings
from smsgate.simulator.smsc_settings import SmscAccount, SmscSettings
from smsgate.store import node_lease
from smsgate.store.campaigns import write_chunks
from smsgate.store.offers import PgOffers
from smsgate.store.order_stamps import OrderStamps
from smsgate.store.pool import Database
from smsgate.store.roles import ADMIN
from smsgate.store.usage import PgPriceData

PUBLIC_IDS = PublicIds(bytes(32))
STAMPS = OrderStamps(ProofKey(bytes(32)), PUBLIC_IDS)
SENDER = "36111"
OTHER_SENDER = "36222"  # of the second carrier, when a test has one
MERCHANT = 7
OFFER_TEXT = (
    "Boxman: CD Madonna 19,90€ port compris. Répondez OK = commande avec obligation de paiement. "
    "Rétractation 14 j. Infos bxm.fr/m1 STOP 36111"
)
UNIT_MICROS = 45_000
MO_MICROS = 10_000
COST_MICROS = 30_000
FIRST_MSISDN = 33_612_000_000
PATIENCE_S = 45.0  # on a machine that does much else; what comes at all comes in tenths of a second


def one_segment(_sender: str, _text: str | bytes) -> int:
    """Stand for what a carrier makes of a text."""
    return 1


async def eventually(condition: Callable[[], Any], timeout_s: float = PATIENCE_S) -> None:
    """Wait until `condition` (plain or async) holds; the last answer is in the failure."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        try:
            found = condition()
            if asyncio.iscoroutine(found):
                found = await found
        except StoreUnavailable:  # a test that cuts connections off cuts its own off as well
            found = None
        if found:
            return
        assert asyncio.get_running_loop().time() < deadline, f"still {found!r} after {timeout_s} s"
        await asyncio.sleep(0.01)


class Nudges:
    """Wakes nothing: the polls must do."""

    def interactive(self) -> None: ...

    def campaigns(self) -> None: ...

    def deliveries(self) -> None: ...


@dataclass
class World:
    database: Database
    simulator: Simulator
    rate_per_s: int = 50_000
    window_max: int = 500
    limits: SendingLimits = field(default_factory=lambda: SendingLimits(poll_s=0.02))
    other: Simulator | None = None  # the SMSC of a second carrier
    profile_changes: dict[str, Any] = field(default_factory=dict)
    other_changes: dict[str, Any] = field(default_factory=dict)  # of the second carrier's profile
    next_id: int = 1_000
    routes: list[Rule] = field(default_factory=list)
    other_senders: tuple[str, ...] = (
        OTHER_SENDER,
    )  # of the second carrier; the first one receives for its own
    other_cost_list: str = "sim-cost"
    gates: Gates = ALWAYS_OPEN
    rules: SmsRules = field(default_factory=SmsRules)
    clock: Clock = field(default_factory=SystemClock)

    @property
    def log(self) -> SmscLog:
        return self.simulator.smsc.log

    def profiles(self) -> list[tuple[int, CarrierProfile]]:
        found = [(1, self._profile("sim", self.simulator, SENDER))]
        if self.other is not None:
            senders = tuple(
                SenderNumber(number=number, receives=number != SENDER) for number in self.other_senders
            )
            profile = self._profile("other", self.other, OTHER_SENDER)
            changes = {"senders": senders, "cost_list": self.other_cost_list, **self.other_changes}
            found.append((2, profile.model_copy(update=changes)))
        return found

    def table(self) -> RouteTable:
        return RouteTable(self.routes, {profile.name: senders_of(profile) for _, profile in self.profiles()})

    def _profile(self, name: str, simulator: Simulator, sender: str) -> CarrierProfile:
        profile = CarrierProfile(
            name=name,
            hosts=(Host("127.0.0.1", simulator.smpp_port),),
            system_id="smsgate",
            password=SecretStr("secret"),
            tls="none",
            insecure_plaintext=True,
            rate_per_s=self.rate_per_s,
            window_max=self.window_max,
            response_timeout_s=2.0,
            senders=(SenderNumber(number=sender, receives=True),),
            cost_list="sim-cost",
            rebind=RebindDelays(lost_s=(0.05, 0.2), refused_tcp_s=(0.05, 0.2), already_bound_s=(0.05, 0.2)),
        )
        return profile.model_copy(update=self.profile_changes)

    async def prepare(self, subscribers: int) -> None:
        """Write a merchant that pays 0.045 EUR a segment, and its subscribers."""
        now = datetime.now(UTC)
        async with self.database.bulk_transaction() as connection:
            await connection.execute(
                "INSERT INTO price_list (price_list_id, name, side, currency) "
                "VALUES (1, 'sell', 'sell', 'EUR'), (2, 'sim-cost', 'cost', 'EUR')"
            )
            await connection.execute(
                "INSERT INTO price_version (price_list_id, version, effective_from, source_sha256) "
                "VALUES (1, 1, $1, ''), (2, 1, $1, '')",
                now - timedelta(days=1),
            )
            await connection.execute(
                "INSERT INTO price_item (item_id, price_list_id, version, direction, network, unit_micros) "
                "VALUES (11, 1, 1, 'mt', '*', $1), (12, 1, 1, 'mo', '*', $2), (21, 2, 1, 'mt', '*', $3)",
                UNIT_MICROS,
                MO_MICROS,
                COST_MICROS,
            )
            await connection.execute(
                "INSERT INTO merchant (merchant_id, name, slug, country, language, timezone, currency, "
                "contact, price_list_id) VALUES ($1, 'Boxman', 'boxman', 'FR', 'fr', 'Europe/Paris', 'EUR', "
                "'bxm.fr 0800 123 456', 1)",
                MERCHANT,
            )
            await connection.execute(
                "INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country, "
                "offers_state, offers_state_at, fields) "
                "SELECT $1, 10000 + n, $2::bigint + n, 'fr', 'FR', 'subscribed', $3, "
                "jsonb_build_object('first_name', 'P' || n) FROM generate_series(0, $4::int - 1) AS s (n)",
                MERCHANT,
                FIRST_MSISDN,
                now,
                subscribers,
            )

    async def another_merchant(self, merchant: int, subscribers: int, *, weight: int = 1) -> int:
        """Add a merchant that pays as the first does, with people of its own; return its first number."""
        first = FIRST_MSISDN + merchant * 10_000_000
        async with self.database.bulk_transaction() as connection:
            await connection.execute(
                "INSERT INTO merchant (merchant_id, name, slug, country, language, timezone, currency, "
                "contact, price_list_id, sending_weight) VALUES ($1, $2, $2, 'FR', 'fr', 'Europe/Paris', "
                "'EUR', '', 1, $3)",
                merchant,
                f"shop-{merchant}",
                weight,
            )
            await connection.execute(
                "INSERT INTO subscriber (merchant_id, subscriber_id, msisdn, language, country, "
                "offers_state, offers_state_at) "
                "SELECT $1, $1::bigint * 1000000 + n, $2::bigint + n, 'fr', 'FR', 'subscribed', now() "
                "FROM generate_series(0, $3::int - 1) AS s (n)",
                merchant,
                first,
                subscribers,
            )
        return first

    async def send_newest(self, merchant: int, offer_id: int) -> int:
        """Start a campaign of an offer's newest version to everybody and return its id."""
        self.next_id += 1
        campaign_id = self.next_id
        async with self.database.bulk_transaction() as connection:
            await connection.execute(
                "INSERT INTO campaign (merchant_id, campaign_id, offer_id, offer_version, state, recipients, "
                "started_at, guard_off) SELECT merchant_id, $3, offer_id, version, 'sending', 0, $4, true "
                "FROM offer WHERE merchant_id = $1 AND offer_id = $2",
                merchant, offer_id, campaign_id, self.clock.now(),
            )  # fmt: skip
            await write_chunks(connection, merchant, campaign_id, Audience())
        return campaign_id

    async def campaign(
        self,
        *,
        text: str = OFFER_TEXT,
        stock: int | None = None,
        quantity_max: int = 5,
        expires_in: timedelta = timedelta(hours=4),
        chunk: int = 1_000,
        sender: str = SENDER,
        tags: list[str] | None = None,
        state: str = "sending",
        merchant: int = MERCHANT,
        guarded: bool = False,
        ask_above_minor: int | None = None,
    ) -> int:
        """Start a campaign to all (of these tags) and return its id; the stop guard when asked for."""
        self.next_id += 1
        campaign_id, offer_id, now = self.next_id, self.next_id + 500_000, datetime.now(UTC)
        async with self.database.bulk_transaction() as connection:
            await connection.execute(
                "INSERT INTO offer (merchant_id, offer_id, version, stock, stock_remaining) "
                "VALUES ($1, $2, 1, $3, $3)",
                merchant,
                offer_id,
                stock,
            )
            await connection.execute(
                "INSERT INTO offer_version (merchant_id, offer_id, version, text, shop_name, item, "
                "unit_price_minor, currency, quantity_max, language, country, sender, expires_at, "
                "created_at, ask_above_minor) VALUES ($1, $2, 1, $3, 'Boxman', 'CD Madonna', 1990, 'EUR', "
                "$4, 'fr', 'FR', $5, $6, $7, $8)",
                merchant,
                offer_id,
                text,
                quantity_max,
                sender,
                now + expires_in,
                now,
                ask_above_minor,
            )
            await connection.execute(
                "INSERT INTO sender_merchant VALUES ($1, $2) ON CONFLICT DO NOTHING", sender, merchant
            )
            await connection.execute(
                "INSERT INTO campaign (merchant_id, campaign_id, offer_id, offer_version, state, started_at, "
                "audience_tags, guard_off) VALUES ($1, $2, $3, 1, $4, $5, $6, $7)",
                merchant,
                campaign_id,
                offer_id,
                state,
                now,
                tags,
                not guarded,
            )
            await connection.execute(
                "INSERT INTO campaign_chunk (merchant_id, campaign_id, no, msisdn_lo, msisdn_hi, "
                "size) SELECT $1, $2, row_number() OVER (ORDER BY g), min(msisdn), "
                "max(msisdn), count(*) "
                "FROM (SELECT msisdn, (row_number() OVER (ORDER BY msisdn) - 1) / $3 AS g "
                "FROM subscriber WHERE merchant_id = $1 AND offers_state = 'subscribed' "
                "AND ($4::text[] IS NULL OR tags && $4)) AS s GROUP BY g",
                merchant,
                campaign_id,
                chunk,
                tags,
            )
        return campaign_id

    async def set_state(self, campaign_id: int, state: str) -> None:
        """Pause, resume or cancel as the API does: one row, no nudge."""
        await self.execute("UPDATE campaign SET state = $2 WHERE campaign_id = $1", campaign_id, state)

    async def system_message(
        self,
        number: int,
        body: str,
        *,
        sender: str = SENDER,
        merchant: int = MERCHANT,
        expires_in: timedelta = timedelta(hours=6),
    ) -> int:
        """Queue a system message to the merchant's n-th subscriber and return its id."""
        subscriber, msisdn = 10_000 + number, FIRST_MSISDN + number
        if merchant != MERCHANT:
            subscriber, msisdn = merchant * 1_000_000 + number, msisdn + merchant * 10_000_000
        self.next_id += 1
        message_id = IdMaker(63, lambda: int(time.time() * 1000)).next() + self.next_id
        async with self.database.bulk_transaction() as connection:
            await connection.execute(
                "INSERT INTO message (merchant_id, message_id, subscriber_id, msisdn, kind, sender, body) "
                "VALUES ($1, $2, $3, $4, 'help', $5, $6)",
                merchant,
                message_id,
                subscriber,
                msisdn,
                sender,
                body,
            )
            await connection.execute(
                "INSERT INTO interactive_queue (merchant_id, message_id, expires_at) VALUES ($1, $2, $3)",
                merchant,
                message_id,
                datetime.now(UTC) + expires_in,
            )
        return message_id

    async def make(self) -> tuple[Gateway, node_lease.NodeLease]:
        if not shared.cache_info().currsize:  # else another gateway of this process has unpacked them
            reply_tables_at_hand()  # as the daemon does before its lease: seconds that no answer waits for
        clock = self.clock
        async with self.database.control() as connection:
            lease = await node_lease.take_slot(connection, "test", 60.0)
        gateway = Gateway(
            self.database,
            carriers=self.profiles(),
            ids=IdMaker(lease.slot, lambda: int(clock.now().timestamp() * 1000)),
            public_ids=PUBLIC_IDS,
            pricing=Pricing(PgPriceData(self.database), clock),
            networks=default_table(),
            stops=RecentStops(),
            wakeups=Nudges(),
            clock=clock,
            owner=lease.epoch,
            simulated_id=32_000,
            limits=self.limits,
            table=self.table(),
            gates=self.gates,
            rules=self.rules,
            suppression=SuppressionHashes(bytes(32)),
            stamps=STAMPS,
        )
        return gateway, lease

    async def release(self, lease: node_lease.NodeLease) -> None:
        async with self.database.control() as connection:
            await node_lease.release(connection, lease)

    @asynccontextmanager
    async def gateway(self, *, drain_s: float = 5.0) -> AsyncIterator[Gateway]:
        """Run the gateway role; leaving drains it as SIGTERM does."""
        gateway, lease = await self.make()
        tasks = gateway.start()
        try:
            yield gateway
            for task in tasks:
                assert not task.done(), task.exception()
        finally:
            await gateway.drain(drain_s)
            await self.release(lease)

    @asynccontextmanager
    async def killed_gateway(self) -> AsyncIterator[Gateway]:
        """Run the gateway role; leaving kills it: nothing is flushed, unbound or given back."""
        gateway, lease = await self.make()
        tasks = gateway.start()
        try:
            yield gateway
            for task in tasks:
                assert not task.done(), task.exception()
        finally:
            for task in tasks:
                task.cancel()
            for account in gateway.switchboard:
                account.stop_submitting()
            await asyncio.gather(*tasks, return_exceptions=True)
            gateway.pump.drain()  # a dead process has no timers either
            await gateway.switchboard.close()
            await self.release(lease)

    @asynccontextmanager
    async def locked(self, table: str) -> AsyncIterator[None]:
        """Hold a table so that nobody else can write it: commits that touch it wait."""
        async with self.database.control() as connection, connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield

    async def kill_bulk_connections(self) -> int:
        """Cut the bulk role's connections off at the server, as a failover does; return how many worked."""
        connection = await self.database.connect(ADMIN)
        try:
            rows = await connection.fetch(
                "SELECT pg_terminate_backend(pid), state FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'smsgate sg_bulk'"
            )
        finally:
            await connection.close()
        return sum(row["state"] != "idle" for row in rows)

    async def execute(self, sql: str, *args: object) -> None:
        """Change something behind everybody's back, as no role of the product may."""
        connection = await self.database.connect(ADMIN)
        try:
            await connection.execute(sql, *args)
        finally:
            await connection.close()

    async def value(self, sql: str, *args: object) -> Any:
        async with self.database.bulk() as connection:
            return await connection.fetchval(sql, *args)

    async def rows(self, sql: str, *args: object) -> list[Any]:
        async with self.database.bulk() as connection:
            return list(await connection.fetch(sql, *args))

    async def counters(self, campaign_id: int) -> dict[str, int]:
        rows = await self.rows("SELECT kind, n FROM campaign_counter WHERE campaign_id = $1", campaign_id)
        return {row["kind"]: row["n"] for row in rows}

    def submitted(self, count: int) -> bool:
        return self.log.submits >= count

    async def finished(self, campaign_id: int) -> bool:
        found = await self.value("SELECT state FROM campaign WHERE campaign_id = $1", campaign_id)
        return bool(found == "finished")

    def texts_to(self, number: int) -> list[str]:
        """Return what the n-th subscriber's phone has received, oldest first."""
        try:
            return [message.text for message in self.simulator.phones.inbox(FIRST_MSISDN + number)]
        except NotFound:
            return []

    def answer(self, number: int, text: str, to: str = SENDER) -> Mo:
        """Let the n-th subscriber's phone send a text."""
        return self.simulator.smsc.send_mo(FIRST_MSISDN + number, to, text, "smsgate")


@asynccontextmanager
async def a_simulator(
    behaviour: Behaviour = SILENT, account_rate_per_s: int = 0, **smsc: Any
) -> AsyncIterator[Simulator]:
    account = SmscAccount("smsgate", "secret", rate_per_s=account_rate_per_s)
    simulator = Simulator(
        SimulatorSettings(
            behaviour=behaviour, control_port=None, smsc=SmscSettings(accounts=(account,), **smsc)
        )
    )
    await simulator.start()
    try:
        yield simulator
    finally:
        await simulator.stop(0.2)


@asynccontextmanager
async def a_world(
    database: Database,
    *,
    subscribers: int = 50,
    rate_per_s: int = 50_000,
    window_max: int = 500,
    limits: SendingLimits | None = None,
    **simulator: Any,
) -> AsyncIterator[World]:
    async with a_simulator(**simulator) as running:
        world = World(
            database,
            running,
            rate_per_s=rate_per_s,
            window_max=window_max,
            limits=limits or SendingLimits(poll_s=0.02),
        )
        await world.prepare(subscribers)
        yield world


def changes_of(world: World, stops: StopSet, clock: Clock | None = None) -> OfferChanges:
    """Return what a merchant changes offers by, in the process that has these `stops`."""
    clock, store = clock or world.clock, PgOffers(world.database)
    ids = IdMaker(41, lambda: int(clock.now().timestamp() * 1000))
    senders = {number: SenderInfo("sim", receives=True) for number in (SENDER, OTHER_SENDER)}
    offers = Offers(store, ids, clock, senders)
    return OfferChanges(store, offers, ids, PublicIds(bytes(32)), clock, stops=stops, wakeups=Nudges())
