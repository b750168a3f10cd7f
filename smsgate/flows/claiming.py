"""
Claims: what this node may send comes from the database, batch by batch, as fast as the carriers take it.

A claim is durable before it is in memory. One whose commit was not seen (the connection broke) is found by
comparing the database's list with ours, and given back: nothing of it was written. A chunk that waits
(paused, or its look at consent too old) is given back too: whoever claims it again sees who left since.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from traceback import extract_tb
from typing import Final, TypeVar

import structlog

from smsgate.billing.rating import REASON_NO_PRICE
from smsgate.campaigns.offer_states import Drop
from smsgate.clock import Clock
from smsgate.errors import StoreUnavailable
from smsgate.flows.budgets import Budgets, Queued
from smsgate.flows.claim_ahead import ClaimAhead
from smsgate.flows.claim_turns import HeldChunks, claim_groups, key_of, people_of
from smsgate.flows.claims_under_way import ClaimsUnderWay
from smsgate.flows.composing import Composer, Made
from smsgate.flows.offers import LIFE_MIN
from smsgate.flows.ports import Carrier, MarketingGates, SendingStore
from smsgate.flows.records import CampaignState, ChunkClaim, InteractiveClaim, Lane, SubmittedClaim
from smsgate.flows.rerouting import let_go
from smsgate.flows.routes import SENDER_UNKNOWN, Routes
from smsgate.flows.sending import Pump
from smsgate.flows.texts_at_once import TextsAtOnce, refused_for
from smsgate.routing.rules import Kind
from smsgate.turns import make_room

Claim = TypeVar("Claim", ChunkClaim, InteractiveClaim, SubmittedClaim)
log = structlog.get_logger(__name__)

ROUND_S: Final = 0.25  # then pauses, cancels and new campaigns are looked for, though there is more to claim
FINISH_LOOK_S: Final = 1.0  # between looks for campaigns that are over, while there is more to claim
UNSEEN_S: Final = 60.0  # a commit that was not seen may be under way at the server for as long
UNSEEN_LOOK_S: Final = 1.0  # between looks for what it claims
INTERACTIVE_MAX: Final = 500  # system messages taken by one claim
ENDS: Final = frozenset((Drop.CANCELLED, Drop.WITHDRAWN, Drop.SUPERSEDED))  # of a campaign, before its time
FAILED_WAIT_S: Final = 60.0  # a campaign whose claim fails for a reason of its own waits; others go on


class Claiming:
    def __init__(
        self,
        store: SendingStore,
        pump: Pump,
        composer: Composer,
        clock: Clock,
        *,
        carriers: Mapping[int, Carrier],
        carrier_of_sender: Mapping[str, int],
        routes: Routes,
        gates: MarketingGates,
        budgets: Budgets,
        owner: int,
    ) -> None:
        self._store = store
        self._pump = pump
        self._composer = composer
        self._clock = clock
        self._carriers = carriers
        self._carrier_of_sender = carrier_of_sender
        self._routes = routes
        self._gates = gates
        self._budgets = budgets
        self._owner = owner
        # (merchant, campaign) whose claim failed -> monotonic second of the next try
        self._failed: dict[tuple[int, int], float] = {}
        # (merchant, campaign) -> carriers that its last claim went to: each is kept busy
        self._spread: dict[tuple[int, int], set[int]] = {}
        self._finished_at = clock.monotonic()  # the last look for campaigns that are over
        self._under_way = ClaimsUnderWay()
        self.wake_ahead = asyncio.Event()  # there is enough to claim for a second round beside the first
        self._enough = False
        self._ahead = ClaimAhead(pump, carriers, clock, submitted=False)
        # What ESMEs submitted, by whether it is marketing.
        self._ahead_submitted = {
            marketing: ClaimAhead(pump, carriers, clock, submitted=True, lane=lane)
            for marketing, lane in ((False, Lane.INTERACTIVE), (True, Lane.BULK))
        }
        # Monotonic seconds: until when claims are looked for that nobody here answers for, and the last look.
        self._forgotten_until = self._forgotten_at = clock.monotonic()
        self.texts = TextsAtOnce(pump, composer, routes, self._ahead, self._under_way, owner=owner)

    async def claim_once(self) -> bool:
        """One round over the campaigns that send; True: something was claimed."""
        self._enough = claimed = await self._round()
        if claimed:
            self.wake_ahead.set()
        return claimed

    async def claim_ahead(self) -> bool:
        """One more round beside those that claim: it chooses and composes while the other holds the lock."""
        return self._enough and await self._round()

    async def _round(self) -> bool:
        if self._pump.draining:
            return False
        await self._give_back_forgotten()
        self._pump.ask_again()
        now = self._clock.now()
        held = {(b.merchant_id, b.campaign_id) for b in self._pump.batches() if b.campaign_id is not None}
        self._apply(await self._store.campaign_states([(m, c) for m, c in held if c is not None]))
        reloads = self._routes.reloads  # before the look: whose sender goes meanwhile is to wait
        # What no process can send is settled by anyone once nobody may send it any more.
        states = await self._store.claimable(self._carrier_of_sender, now, over_at=now + LIFE_MIN)
        present = held.union(map(key_of, states))
        self._spread = {key: carriers for key, carriers in self._spread.items() if key in present}
        claimed = False
        await self._composer.refresh()
        until = self._clock.monotonic() + ROUND_S
        chunks = HeldChunks(self._pump.batches(), self._under_way)
        for group in claim_groups(chunks.in_turn(states)):
            claimed |= await self._claim_safely(group, chunks, reloads)
            if claimed and self._clock.monotonic() >= until:
                break
        if not claimed or self._clock.monotonic() >= self._finished_at + FINISH_LOOK_S:
            self._finished_at = self._clock.monotonic()
            for merchant_id, campaign_id in await self._store.finish_campaigns(now):
                log.info("campaign_finished", merchant_id=merchant_id, campaign_id=campaign_id)
        return claimed

    async def _claim_safely(self, group: Sequence[CampaignState], held: HeldChunks, reloads: int) -> bool:
        """Claim for campaigns; what is wrong with one alone stops neither the others nor the process."""
        now = self._clock.monotonic()
        wanting = []
        for state in group:
            if self._failed.get(key_of(state), now) <= now:
                self._failed.pop(key_of(state), None)
                if held.wants_more(state, self._spread.get(key_of(state), frozenset())):
                    wanting.append(state)
        if not wanting or self._pump.draining or self._pump.allowances.halted:
            return False
        try:
            return await self._claim_for(wanting, held, reloads)
        except StoreUnavailable:
            raise
        except Exception as exc:  # noqa: BLE001  # whatever it is, it is one campaign's
            self._pump.forgotten = True  # it may have failed after the commit
            if len(wanting) > 1:
                await self._give_back_forgotten()
                return any([await self._claim_safely([state], held, reloads) for state in wanting])
            self._fail(wanting[0], exc)
            return False

    def _fail(self, state: CampaignState, exc: Exception) -> None:
        """Let a campaign wait whose claim failed."""
        now = self._clock.monotonic()
        self._failed = {key: until for key, until in self._failed.items() if until > now}
        self._failed[key_of(state)] = now + FAILED_WAIT_S
        # No message of the error: a database's names the row, and so people's numbers.
        frame = extract_tb(exc.__traceback__)[-1]
        log.error(
            "campaign_claim_failed",
            merchant_id=state.merchant_id,
            campaign_id=state.campaign_id,
            error=type(exc).__name__,
            where=f"{frame.name}:{frame.lineno}",
            retry_s=FAILED_WAIT_S,
        )

    async def _claim_for(self, group: Sequence[CampaignState], held: HeldChunks, reloads: int) -> bool:
        """Claim a chunk of each of one merchant's campaigns."""
        merchant_id = group[0].merchant_id
        people = sum(people_of(state) for state in group)
        allowances = self._pump.allowances
        async with self._under_way.one(map(key_of, group)):
            consent_read = self._pump.look.now()
            rate = max(self._routes.rate_of(state.sender) for state in group)
            step = allowances.first(self._pump.grants(), people, rate)
            # Until it is in the books: else what it may write is granted to somebody else, too.
            with allowances.promised(step):
                claims, made = await self._claim(group, step, reloads)
                for claim in claims:
                    self._spread[merchant_id, claim.campaign_id] = set()
                for batch, _ in made:
                    batch.consent_read = consent_read
                    assert batch.campaign_id is not None
                    self._spread[merchant_id, batch.campaign_id].add(batch.carrier_id)
                    held.note(batch)
                await make_room()
                self._pump.add(made)
            if any(claim.budgeted for claim in claims):
                self._budgets.wake.set()
            return bool(claims)

    async def _claim(
        self, group: Sequence[CampaignState], step: int, reloads: int
    ) -> tuple[Sequence[ChunkClaim], Made]:
        """Return what the database gave, and the batches that it becomes."""
        merchant_id = group[0].merchant_id
        try:
            claims = await self._store.claim_chunks(
                merchant_id,
                [state.campaign_id for state in group],
                owner=self._owner,
                allowance_step=step,
                now=self._clock.now(),
                gates=self._gates,
                senders=frozenset(self._carrier_of_sender),
                splits={
                    state.campaign_id: partial(
                        self._routes.split, merchant_id, state.sender, Kind.OFFER, salt=state.campaign_id
                    )
                    for state in group
                },
            )
            await make_room()
            return claims, [
                each
                for claim in claims
                if claim.message_ids
                for each in await self._composed(self._composer.chunk, reloads, claim)
            ]
        except StoreUnavailable:
            self._pump.forgotten = True
            raise

    async def _composed(self, compose: Callable[[Claim], Made], reloads: int, claim: Claim) -> Made:
        """
        Return a claim's batches; a price that is missing may be a moment old, and is looked for.

        None where a reload since the look for it (there were `reloads`) left a sender without a carrier: what
        was claimed is found forgotten and waits, as what was not.
        """
        made = compose(claim)
        if refused_for(REASON_NO_PRICE, made):
            try:
                await self._composer.reload()
            except StoreUnavailable:
                self._pump.forgotten = True
                raise
            made = compose(claim)
        if self._routes.reloads != reloads and refused_for(SENDER_UNKNOWN, made):
            self._pump.forgotten = True
            return []
        return made

    def _apply(self, states: Sequence[CampaignState]) -> None:
        """Pause, resume, cancel and expire what is in memory."""
        now = self._clock.now()
        by_key = {(state.merchant_id, state.campaign_id): state.state for state in states}
        paced = {(s.merchant_id, s.campaign_id) for s in states if s.messages_per_minute is not None}
        budgeted = {s.merchant_id for s in states if s.budgeted}
        for batch in list(self._pump.batches()):
            if now >= batch.expires_at:
                self._pump.give_up(batch, "expired", now)  # also without a carrier that would ask for more
                continue
            if batch.campaign_id is None or batch.chunk is None:
                if batch.lane is Lane.BULK and self._pump.look.is_stale(batch, now):
                    let_go(self._pump, batch, batch.drop_rest())
                continue
            state = by_key.get((batch.merchant_id, batch.campaign_id))
            if batch.chunk.limit is None and (batch.merchant_id, batch.campaign_id) in paced:
                batch.chunk.limit = batch.chunk.allowance_asked  # it was given a pace just now
            if batch.chunk.funded is None and batch.merchant_id in budgeted:
                batch.chunk.funded = batch.chunk.allowance_asked  # it was given a budget just now
            if state in ENDS:
                self._pump.give_up(batch, state, now)
            elif state == "paused" or self._pump.look.is_stale(batch, now):
                self._pump.give_back(batch.chunk)
            else:
                self._pump.resume(batch)

    async def interactive_once(self) -> bool:
        """Take waiting system messages and what ESMEs submitted; True: there may be more, and room for it."""
        if self._pump.draining:
            return False
        self._pump.absent_due()
        if self._pump.forgotten:  # else a person's next answer is claimed before what is given back
            await self._give_back_forgotten()
        await self._read_consent_anew()
        await self._composer.refresh()
        more = await self._take(self._ahead, self._store.claim_interactive, self._composer.interactive)
        for marketing, ahead in self._ahead_submitted.items():
            claim_once = partial(self._store.claim_submitted, marketing=marketing)
            more |= await self._take(ahead, claim_once, self._composer.submitted)
        return more

    async def _read_consent_anew(self) -> None:
        """Let texts go on that wait because their people's consent may not be what it was at their claim."""
        for batch in list(self._pump.batches()):
            if batch.lane is Lane.INTERACTIVE and batch.paused:
                consent_read = self._pump.look.now()
                ids = list(dict.fromkeys(batch.message_ids))
                refused = await self._store.refused_messages(batch.merchant_id, ids)
                batch.consent_read, batch.refused_ids = consent_read, refused
                self._pump.resume(batch)

    async def _take(
        self,
        ahead: ClaimAhead,
        claim_once: Callable[..., Awaitable[Sequence[Queued]]],
        compose: Callable[[Queued], Made],
    ) -> bool:
        """Claim texts of the interactive lane, a little ahead of the carriers' room; True: go on at once."""
        reloads = self._routes.reloads
        async with self._under_way.one():  # a wait, so what there is room for is asked in it
            rooms = ahead.room()
            allowed = self._routes.senders_with_room(rooms)
            most, senders = self._pump.allowances.texts(self._pump.batches(), allowed, lane=ahead.lane)
            limit = min(INTERACTIVE_MAX, max(rooms.values(), default=0), self._pump.grants().room, most)
            asked = max(1, limit)  # what is over, or waits for no carrier, is taken in any case
            senders = senders if limit else []
            if not ahead.asks(senders):
                return ahead.more(rooms, limit, 0)
            with self._pump.allowances.promised_texts(asked, senders), ahead.timed():
                consent_read = self._pump.look.now()
                try:
                    claims = await claim_once(
                        owner=self._owner,
                        limit=asked,
                        senders=senders,
                        now=self._clock.now(),
                    )
                except StoreUnavailable:
                    self._pump.forgotten = True
                    raise
                for claim in claims:
                    made = await self._budgets.covered(
                        claim, lambda queued: self._composed(compose, reloads, queued)
                    )
                    for batch, _ in made:
                        batch.consent_read = consent_read
                    self._pump.add(made)
        return ahead.more(rooms, limit, sum(len(claim.message_ids) for claim in claims))

    async def _give_back_forgotten(self) -> None:
        now = self._clock.monotonic()
        due = self._forgotten_at + UNSEEN_LOOK_S <= now < self._forgotten_until
        if not (self._pump.forgotten or due):
            return
        async with self._under_way.none():
            self._forgotten_at = self._clock.monotonic()
            if self._pump.forgotten:
                self._forgotten_until = self._forgotten_at + UNSEEN_S
            chunks, messages = await self._store.release_forgotten(
                self._pump.held_chunks, self._pump.held_messages, owner=self._owner
            )
            self._pump.forgotten = False
            if messages:
                self._ahead.was_given_back()
        if chunks or messages:
            log.warning("claims_given_back", chunks=chunks, interactive=messages)

    async def release(self) -> None:
        """After the last flush: give back what was never written, for the next start or another node."""
        chunks, messages = self._pump.forget()
        await self._store.release_chunks(chunks, owner=self._owner)
        await self._store.release_interactive(messages, owner=self._owner)
        await self._store.release_forgotten(set(), set(), owner=self._owner)
        log.info("sending_released", chunks=len(chunks), interactive=len(messages))
