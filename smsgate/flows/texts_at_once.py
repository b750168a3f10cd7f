"""
Answers' texts that are claimed by the transaction that writes them, and written right after its commit.

Who claims them afterwards needs three statements and a commit more, each of which waits for turns of the loop
beside a campaign. Claimed is only what a claim would be given now, and would find fit to be sent: where older
texts may wait for the same sender number, or somebody's consent may refuse one, they wait in the queue.
Source: docs/decisions/0011.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, nullcontext
from functools import partial
from typing import Final, Protocol

from smsgate.billing.rating import REASON_NO_PRICE
from smsgate.campaigns.telling import CONFIRMATIONS, is_open
from smsgate.errors import CommitUnknown
from smsgate.flows.claim_ahead import ClaimAhead
from smsgate.flows.claims_under_way import ClaimsUnderWay
from smsgate.flows.commerce_records import SystemMessageColumns
from smsgate.flows.composing import Composer, Made
from smsgate.flows.inbound_records import InboundContext, InboundWrites, TextClaim
from smsgate.flows.records import InteractiveClaim
from smsgate.flows.routes import SENDER_UNKNOWN, Routes
from smsgate.flows.sending import Pump
from smsgate.msisdn import is_simulated

Choose = Callable[[InboundContext, InboundWrites], None]


class Texts(Protocol):
    def claiming(self) -> AbstractAsyncContextManager[Choose]:
        """
        Be around the transaction of a group; what it yields chooses the texts that are claimed.

        That is done before they are written, with the group's people locked. `committed` follows in one step
        with the end of this.
        """
        ...

    def committed(self, writes: InboundWrites) -> None:
        """Hand over what was claimed: the transaction is durable, and its STOPs are in force."""
        ...


class InTheQueue:
    """Claims nothing: of a process that sends nothing."""

    def claiming(self) -> AbstractAsyncContextManager[Choose]:
        return nullcontext(lambda _context, _writes: None)

    def committed(self, writes: InboundWrites) -> None: ...


IN_THE_QUEUE: Final[Texts] = InTheQueue()


class TextsAtOnce:
    """Implements `Texts` for a process that sends."""

    def __init__(
        self,
        pump: Pump,
        composer: Composer,
        routes: Routes,
        ahead: ClaimAhead,
        under_way: ClaimsUnderWay,
        *,
        owner: int,
    ) -> None:
        self._pump = pump
        self._composer = composer
        self._routes = routes
        self._ahead = ahead
        self._under_way = under_way
        self._owner = owner

    @asynccontextmanager
    async def claiming(self) -> AsyncIterator[Choose]:
        claim = TextClaim(self._owner)
        with ExitStack() as books:
            try:
                yield partial(self._choose, claim, books)
            except BaseException as exc:
                # Where the commit was not seen, or nobody waited for it, they are found forgotten, and given
                # back. After any other error nothing of the group stands.
                if isinstance(exc, CommitUnknown) or not isinstance(exc, Exception):
                    self._pump.forgotten |= bool(claim.message_ids)
                raise

    def _choose(
        self, claim: TextClaim, books: ExitStack, context: InboundContext, writes: InboundWrites
    ) -> None:
        # Nobody waits here: the group holds locks that a claim under way may wait for.
        if self._pump.draining or self._under_way.closed or self._pump.forgotten:
            return
        columns, allowances = writes.messages, self._pump.allowances
        most, allowed = allowances.texts(self._pump.batches(), set(columns.senders), len(columns.senders))
        rooms, room = self._ahead.room(), min(self._pump.grants().room, most)
        heeded, coming, senders = _heeded(context, writes), Counter[int](), Counter[str]()
        for place, message_id in enumerate(columns.message_ids):
            carrier_id = self._routes.only_carrier(columns.senders[place])
            who = columns.merchant_ids[place], columns.subscriber_ids[place], columns.msisdns[place]
            if (
                carrier_id is not None
                and who in heeded
                and columns.senders[place] in allowed
                and self._ahead.is_first(columns.senders[place])
                and coming[carrier_id] < rooms.get(carrier_id, 0)
                and coming.total() < room
            ):
                coming[carrier_id] += 1
                senders[columns.senders[place]] += 1
                claim.message_ids.add(message_id)
        if claim.message_ids:
            claim.consent_read, claim.reloads = self._pump.look.now(), self._routes.reloads
            claim.ported = context.ported
            books.enter_context(self._under_way.at_once())
            books.enter_context(self._ahead.coming(coming))
            for sender, count in senders.items():
                books.enter_context(allowances.promised_texts(count, [sender]))
            writes.claim = claim

    def committed(self, writes: InboundWrites) -> None:
        claim, columns = writes.claim, writes.messages
        if claim is not None and claim.message_ids and not self._hand_over(claim, columns):
            claim.message_ids.clear()
            self._pump.forgotten = True
            self._pump.wake_claims.set()
        for sender, message_id in zip(columns.senders, columns.message_ids, strict=True):
            if claim is None or message_id not in claim.message_ids:
                self._ahead.waits(sender)

    def _hand_over(self, claim: TextClaim, columns: SystemMessageColumns) -> bool:
        """Return False where a claim would have looked for prices or a carrier anew: it does so."""
        made = [batch for each in _claims(claim, columns) for batch in self._composer.interactive(each)]
        reloaded = self._routes.reloads != claim.reloads
        if refused_for(REASON_NO_PRICE, made) or (reloaded and refused_for(SENDER_UNKNOWN, made)):
            return False
        for batch, _ in made:
            batch.consent_read = claim.consent_read
        self._pump.add(made)
        return True


def refused_for(why: str, made: Made) -> bool:
    return any(reason == why for _, refused in made for _, reason in refused)


def _heeded(context: InboundContext, writes: InboundWrites) -> set[tuple[int, int | None, int]]:
    """
    Return (merchant, subscriber, number) of the people to whom no text is refused, whatever it says.

    They are locked, and the group changes nothing that they agreed to.
    """
    stirred = {each.msisdn for each in writes.consents} | {each.msisdn for each in writes.taken_back}
    stirred.update(writes.blocked, (msisdn for _, msisdn in writes.number_stops))
    return {
        (person.merchant_id, person.subscriber_id, msisdn)
        for msisdn, people in context.people.items()
        for person in people
        if msisdn not in stirred and is_open(person.offers_state) and not is_simulated(msisdn)
    }


def _claims(claim: TextClaim, columns: SystemMessageColumns) -> list[InteractiveClaim]:
    """Return what `claim_interactive` would of these texts: one claim for each merchant."""
    places: defaultdict[int, list[int]] = defaultdict(list)
    for place, message_id in enumerate(columns.message_ids):
        if message_id in claim.message_ids:
            places[columns.merchant_ids[place]].append(place)
    return [
        InteractiveClaim(
            merchant_id=merchant_id,
            message_ids=[columns.message_ids[place] for place in mine],
            msisdns=[columns.msisdns[place] for place in mine],
            senders=[columns.senders[place] for place in mine],
            bodies=[columns.bodies[place] for place in mine],
            expires_at=[columns.expires_at[place] for place in mine],
            refusable=[columns.kinds[place] not in CONFIRMATIONS for place in mine],
            reasons=[None] * len(mine),
            tlvs=[b""] * len(mine),
            ported=claim.ported,
        )
        for merchant_id, mine in places.items()
    ]
