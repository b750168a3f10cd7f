"""
An invoice case end to end: messages, receipts and closes in the order of time, through a database.

What the daemon does is done by the daemon's code: prices are loaded, outcomes become flushes, charges follow
receipts, months are cut and billed. Only sockets and the clock are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from smsgate.billing.cases.fields import Fields
from smsgate.billing.cases.invoices import invoice_answer, second_currencies
from smsgate.billing.cases.messages import Message, read_messages
from smsgate.billing.cases.terms import Terms, read_terms
from smsgate.billing.documents import DocumentType
from smsgate.billing.invoices import Party
from smsgate.billing.issuing import Seller
from smsgate.billing.periods import Month, month_of
from smsgate.billing.prices import Basis, Direction, PriceBook, PriceItem
from smsgate.clock import ManualClock
from smsgate.demo.case_replies import CaseReplies
from smsgate.errors import Invalid, SmsgateError
from smsgate.flows.allowances import Grants
from smsgate.flows.batches import BATCH_MAX, Batch
from smsgate.flows.closing import Closing
from smsgate.flows.outcomes import Outcomes
from smsgate.flows.pricing import Pricing
from smsgate.flows.records import Lane
from smsgate.flows.reversals import MESSAGES_MAX, Reversing
from smsgate.flows.sending_limits import SendingLimits
from smsgate.ids import EPOCH_MS, first_id_at
from smsgate.money import micros_per_minor
from smsgate.security.public_ids import KEY_LENGTH, PublicIds
from smsgate.store import flushing, worked_case
from smsgate.store.closing import PgClosing
from smsgate.store.pool import Database
from smsgate.store.reversals import PgReversals
from smsgate.store.usage import PgPriceData

CARRIER: Final = 1
MSISDN: Final = 33_612_000_000
REFUSED_STATUS: Final = 0x45  # ESME_RSUBMITFAIL
IDS_OF_A_MILLISECOND: Final = 1 << 22
FIRST_MS: Final = EPOCH_MS + 86_400_000  # the day before a message's has a partition as well
OWN_IDS: Final = 1 << 62  # documents and postings: above every message
SELLER: Final = Seller(
    Party("smsgate", "1 rue de la Paix", "75002", "Paris", "FR"), currency="", e_invoices=False
)
_NO_EVENTS: Final = PublicIds(bytes(KEY_LENGTH))  # nothing here has a name for the world
REPEATS: Final = 2  # carriers repeat receipts, and a flush whose commit was not seen is given again

Act = Callable[[], Awaitable[None]]
# When, which message of the case and which of its events; what is recorded at a close is late, so closes
# come first.
Action = tuple[datetime, int, int, Act]


@dataclass(slots=True)
class _Sent:
    """One message of the case, as often as it counts; `back` of them are given back, `owed` wait for it."""

    message: Message
    item: PriceItem
    currency: str
    message_ids: list[int]
    back: int = 0
    owed: list[int | None] = field(default_factory=list)


async def invoice_through_database(case: Fields, database: Database, run: int) -> dict[str, Any]:
    """
    Return the answer to an invoice case; `run` (from 1) tells the cases of one database apart.

    Raises:
        Invalid: the case cannot be read, or has messages from before 2025, which have no ids.
        SmsgateError: the books do not hold at the end.
    """
    story = _Story(case, database, run)
    await story.write_terms()
    await story.play()
    return await story.answer()


class _Story:
    def __init__(self, case: Fields, database: Database, run: int) -> None:
        self._case, self._database = case, database
        self._merchant_id = self._owner = run
        self._base = run * 1_000_000  # of price lists and items: the database has those of all cases
        self._next_own = OWN_IDS + run * (1 << 40)
        self._terms: Terms = read_terms(case)
        self._messages = read_messages(case, self._terms.zone_name)
        self._clock = ManualClock(datetime(2000, 1, 1, tzinfo=UTC))
        self._ids_of_ms: Counter[int] = Counter()
        self._handles = 0
        self._refused: list[Any] = []
        self._outcomes = Outcomes(self._own_id)
        self._store = PgClosing(database, str)
        self._closing = Closing(self._store, SELLER, self._clock, self._own_id)
        self._reversing = Reversing(PgReversals(database, self._own_id), self._clock)
        self._pricing = Pricing(PgPriceData(database), self._clock)
        self._replies = CaseReplies(database, self._clock, self._own_id, CARRIER, MSISDN)

    async def write_terms(self) -> None:
        """Write merchant, prices and days, and load the prices as the daemon does."""
        terms, database = self._terms, self._database
        for message in self._messages:
            if message.accepted_at.timestamp() * 1000 < FIRST_MS:
                raise Invalid(
                    f"message {message.name}: the database takes messages from 2025-01-02 on",
                    code="case_invalid",
                )
        await worked_case.write_merchant(
            database, self._merchant_id, terms.zone_name, terms.currency, terms.vat.entries, terms.commitments
        )
        lists = [
            worked_case.CaseList(
                self._base + book.list_id,
                f"{self._merchant_id} {name}",
                book.currency,
                [
                    (
                        version.version,
                        version.effective_from,
                        [replace(item, item_id=self._base + item.item_id) for item in version.items],
                    )
                    for version in book.versions
                ],
            )
            for name, book in terms.lists.items()
        ]
        await worked_case.write_prices(database, lists)
        instants = {
            message.accepted_at.astimezone(UTC).date(): message.accepted_at for message in self._messages
        }
        await worked_case.make_days(database, instants.values())
        await self._pricing.refresh()

    async def play(self) -> None:
        """Let everything happen in the order of its instants, and close until nothing is left."""
        actions = [
            action for place, message in enumerate(self._messages) for action in self._actions(place, message)
        ]
        months = self._months()
        for at, _place, _event, act in sorted(actions, key=lambda action: action[:3]):
            while months and self._terms.closes.close_at(months[0]) <= at:
                await self._close(months.pop(0))
            self._go_to(at)
            await act()
        last = months[-1] if months else max(self._months(), default=None)
        for month in months:
            await self._close(month)
        while last is not None and await worked_case.open_since(self._database, self._merchant_id):
            last = last.next()
            await self._close(last)

    async def answer(self) -> dict[str, Any]:
        """
        Return the documents as a case shows them.

        Raises:
            SmsgateError: something is left unbilled, or the accounts are not those of the documents.
        """
        documents = await worked_case.documents(self._database, self._merchant_id)
        told: Counter[tuple[str, str]] = Counter()
        for document in documents:
            sign = 1 if document.doc_type is DocumentType.INVOICE else -1
            scale = sign * micros_per_minor(document.currency)
            told["receivable", document.currency] += scale * document.gross_minor
            told["vat", document.currency] -= scale * document.vat_minor
            told["rounding", document.currency] += sign * document.rounding_micros
            told["revenue", document.currency] -= sign * document.exact_micros
        balances = await worked_case.balances(self._database, self._merchant_id)
        found = {(balance.account, balance.currency): balance.micros for balance in balances}
        if found != {account: micros for account, micros in told.items() if micros}:
            raise SmsgateError(f"the accounts {found} are not those of the documents, {dict(told)}")
        names = {self._base + item_id: name for item_id, name in self._terms.names.items()}
        terms = replace(self._terms, names=names)
        seconds = second_currencies(self._case)
        return {
            "invoices": [invoice_answer(document, terms, seconds) for document in documents],
            "refused": self._refused,
        }

    # ------------------------------------------------------------------ months

    def _months(self) -> list[Month]:
        """Return every month from the first to the last that the case names, or that messages are of."""
        zone_name = self._terms.zone_name
        accepted = (month_of(message.accepted_at, zone_name) for message in self._messages)
        named = [*self._terms.periods, *accepted]
        months: list[Month] = []
        month = min(named, default=None)
        while month is not None and month <= max(named):
            months.append(month)
            month = month.next()
        return months

    async def _close(self, month: Month) -> None:
        """Close a month at its instant; one that the case does not name, when there is something in it."""
        if month not in self._terms.periods:
            first = await worked_case.open_since(self._database, self._merchant_id)
            if first is None or month_of(first, self._terms.zone_name) > month:
                return
        at = self._terms.closes.close_at(month)
        self._go_to(at)
        merchant = await self._store.merchant(self._merchant_id)
        await self._closing.cut(merchant, month, at)
        await self._closing.bill(merchant, month)

    def _go_to(self, at: datetime) -> None:
        self._clock.advance((at - self._clock.now()).total_seconds())

    # ------------------------------------------------------------------ messages

    def _actions(self, place: int, message: Message) -> list[Action]:
        found = self._price(message)
        if found is None:
            self._refused.append(message.name)
            return []
        sent = _Sent(message, *found, self._message_ids(message))
        taken_at = message.taken_at
        if taken_at is None:
            return [(message.accepted_at, place, 0, partial(self._refuse, sent))]
        actions: list[Action] = [(taken_at, place, 0, partial(self._take, sent))]
        if message.direction is Direction.MT:
            actions += [
                (
                    max(taken_at, receipt.recorded_at), place, event,
                    partial(self._receive, sent, receipt.state, receipt.received_at),
                )
                for event, receipt in enumerate(sorted(message.receipts), 1)
            ]  # fmt: skip
        first = 1 + len(message.receipts)
        return actions + [
            (max(taken_at, each.recorded_at), place, first + n, partial(self._give_back, sent, each.messages))
            for n, each in enumerate(message.reversals)
        ]

    def _price(self, message: Message) -> tuple[PriceItem, str] | None:
        book = self._book(message)
        item = book.lookup(message.accepted_at, message.direction, message.network)
        return None if item is None else (item, book.currency)

    def _book(self, message: Message) -> PriceBook:
        lists = self._terms.lists
        name = message.price_list
        if name is None and len(lists) == 1:
            name = next(iter(lists))
        if name is None or name not in lists:
            raise Invalid(f"message {message.name} names no price list of the case", code="case_invalid")
        book = self._pricing.book(self._base + lists[name].list_id)
        assert book is not None
        return book

    def _message_ids(self, message: Message) -> list[int]:
        unix_ms = int(message.accepted_at.timestamp() * 1000)
        used = self._ids_of_ms[unix_ms]
        if used + message.messages > IDS_OF_A_MILLISECOND:
            raise Invalid(
                f"message {message.name}: more than {IDS_OF_A_MILLISECOND} messages of one millisecond",
                code="case_invalid",
            )
        self._ids_of_ms[unix_ms] += message.messages
        first = first_id_at(unix_ms) + used
        return list(range(first, first + message.messages))

    async def _take(self, sent: _Sent) -> None:
        """Have the carrier take an MT, or receive an MO."""
        if sent.message.direction is Direction.MO:
            message = sent.message
            await self._replies.receive(
                self._merchant_id, sent.message_ids, network=message.network, book=self._book(message),
                segments=message.segments, received_at=message.accepted_at,
            )  # fmt: skip
            return
        for batch in self._batches(sent):
            smsc_ids = [b"%x" % message_id for message_id in batch.message_ids]
            self._outcomes.accepted(batch, range(batch.size), smsc_ids, self._clock.now())
            await self._flush()

    async def _refuse(self, sent: _Sent) -> None:
        for batch in self._batches(sent):
            for index in range(batch.size):
                self._outcomes.refused(batch, index, REFUSED_STATUS, self._clock.now())
            await self._flush()

    async def _receive(self, sent: _Sent, state: int, received_at: datetime) -> None:
        receipts = self._outcomes.flush.receipts
        for _ in range(REPEATS):
            for message_id in sent.message_ids:
                receipts.merchant_ids.append(self._merchant_id)
                receipts.message_ids.append(message_id)
                receipts.segments.append(1)
                receipts.states.append(state)
                receipts.errors.append(b"")
                receipts.received_at.append(received_at)
                if sent.item.basis is Basis.DELIVERED:
                    self._outcomes.flush.by_receipt.append((self._merchant_id, message_id, 1))
        await self._flush()
        owed, sent.owed = sent.owed, []
        for messages in owed:
            await self._give_back(sent, messages)

    async def _give_back(self, sent: _Sent, messages: int | None) -> None:
        """Give some of a message back, or all that are left; what is not charged yet waits for its charge."""
        left = sent.message_ids[sent.back :]
        wanted = left if messages is None else left[:messages]
        if not wanted:
            return
        done = 0
        for first in range(0, len(wanted), MESSAGES_MAX):
            some = wanted[first : first + MESSAGES_MAX]
            done += await self._reversing.reverse(self._merchant_id, some, "the case says so")
        sent.back += done
        if not done:
            sent.owed.append(messages)

    def _batches(self, sent: _Sent) -> list[Batch]:
        ids, item, segments = sent.message_ids, sent.item, sent.message.segments
        made = []
        for first in range(0, len(ids), BATCH_MAX):
            some = ids[first : first + BATCH_MAX]
            count = len(some)
            self._handles += 1
            made.append(
                Batch(
                    handle=self._handles,
                    lane=Lane.INTERACTIVE,
                    carrier_id=CARRIER,
                    merchant_id=self._merchant_id,
                    campaign_id=None,
                    sender="36111",
                    expires_at=self._clock.now(),
                    message_ids=some,
                    msisdns=[MSISDN] * count,
                    texts=[b""] * count,
                    sell_item_ids=[item.item_id] * count,
                    sell_micros=[item.unit_micros * segments] * count,
                    cost_item_ids=[0] * count,
                    cost_micros=[0] * count,
                    currency=sent.currency,
                    cost_currency="",
                    delivered=frozenset({item.item_id} if item.basis is Basis.DELIVERED else ()),
                    segments=[segments] * count,
                )
            )
        return made

    async def _flush(self) -> None:
        limits = SendingLimits()
        cut = self._outcomes.cut(Grants(0, limits), self._clock.now())
        for _ in range(REPEATS):
            await flushing.commit(
                self._database, cut.flush, owner=self._owner, next_id=self._own_id, public_ids=_NO_EVENTS
            )

    def _own_id(self) -> int:
        self._next_own += 1
        return self._next_own
