"""
Consent that changes by time, or by a carrier's word.

Implements flows.consent_ageing.ConsentAgeingStore and flows.opt_outs.OptOutStore.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from smsgate.campaigns.consent import ConsentEvent, ConsentState, Purpose, decide
from smsgate.flows.commerce_records import EventColumns
from smsgate.flows.consent_ageing import Ageing
from smsgate.flows.inbound_records import TakenBack
from smsgate.flows.opt_outs import Code, ErrorCode
from smsgate.store.catalogue import load
from smsgate.store.consent_states import NewState, set_states
from smsgate.store.events import insert_events
from smsgate.store.notices import publish_taken_back

if TYPE_CHECKING:
    import asyncpg

    from smsgate.flows.ports import Ids
    from smsgate.store.connection import Connection
    from smsgate.store.pool import Database

_SQL: Final = load("consent_ageing")
_INBOUND: Final = load("inbound")  # offers are closed in one way


class _Aged(NamedTuple):
    subscriber_id: int
    msisdn: int
    purpose: Purpose
    before: ConsentState
    state: ConsentState

    @property
    def told(self) -> bool:
        """Whether the shop hears of it: of the end of what nobody ever agreed to it does not."""
        return self.before is not ConsentState.NONE or self.purpose is Purpose.OFFERS


class PgConsentAgeing:
    def __init__(self, database: Database, ids: Ids, public_subscriber: Callable[[int], str]) -> None:
        self._database = database
        self._ids = ids
        self._public_subscriber = public_subscriber

    async def age(self, ageing: Ageing, before: datetime, now: datetime, people_max: int) -> int:
        async with self._database.bulk() as connection:
            due = await connection.fetch(_SQL[f"due_{ageing}"], before, people_max)
        by_merchant: dict[int, set[int]] = defaultdict(set)
        for merchant_id, subscriber_id in due:
            by_merchant[merchant_id].add(subscriber_id)
        for merchant_id, people in by_merchant.items():
            async with self._database.bulk_transaction() as connection:
                await self._age(connection, merchant_id, sorted(people), ageing, before, now)
        return len(due)

    async def _age(
        self,
        connection: Connection,
        merchant_id: int,
        people: Sequence[int],
        ageing: Ageing,
        before: datetime,
        now: datetime,
    ) -> None:
        locked = await connection.fetch(_SQL["lock_people"], merchant_id, people)
        msisdns = {row["subscriber_id"]: row["msisdn"] for row in locked}
        due = await connection.fetch(_SQL[f"still_{ageing}"], merchant_id, list(msisdns), before)
        found = await connection.fetch(
            _SQL["states_of"], merchant_id, [each for each, _ in due], [purpose for _, purpose in due]
        )
        event = ConsentEvent(ageing.value)
        if aged := _aged(found, msisdns, event, now):
            await self._write(connection, merchant_id, aged, event, "time", now)
        if ageing is Ageing.QUESTION_EXPIRED:
            numbers = list(msisdns.values())
            await connection.execute(_SQL["end_questions"], [merchant_id] * len(numbers), numbers, before)

    async def carrier_stops(
        self,
        messages: Sequence[tuple[int, int]],
        statuses: Sequence[Code],
        errors: Sequence[ErrorCode],
        now: datetime,
    ) -> int:
        by_merchant: dict[int, list[int]] = defaultdict(list)
        for merchant_id, message_id in messages:
            by_merchant[merchant_id].append(message_id)
        codes = [*map(list, zip(*statuses, strict=True))] or [[], []]
        codes += [*map(list, zip(*errors, strict=True))] or [[], []]
        stopped = 0
        for merchant_id, ids in sorted(by_merchant.items()):
            async with self._database.bulk_transaction() as connection:
                rows = await connection.fetch(_SQL["opted_out"], merchant_id, ids, *codes)
                people = [row["subscriber_id"] for row in rows]
                stopped += await self._stop(connection, merchant_id, people, now) if people else 0
        return stopped

    async def _stop(
        self, connection: Connection, merchant_id: int, people: Sequence[int], now: datetime
    ) -> int:
        """End every purpose of these people, as a bare STOP does; return for how many it ended any."""
        locked = await connection.fetch(_SQL["lock_people"], merchant_id, people)
        msisdns = {row["subscriber_id"]: row["msisdn"] for row in locked}
        asked = [(each, purpose.value) for each in msisdns for purpose in Purpose]
        found = await connection.fetch(
            _SQL["states_of"], merchant_id, [each for each, _ in asked], [purpose for _, purpose in asked]
        )
        event = ConsentEvent.CARRIER_STOP
        if aged := _aged(found, msisdns, event, now):
            await self._write(connection, merchant_id, aged, event, "carrier", now)
        numbers = list(msisdns.values())
        await connection.execute(_SQL["end_questions"], [merchant_id] * len(numbers), numbers, now)
        return len({each.subscriber_id for each in aged})

    async def _write(
        self,
        connection: Connection,
        merchant_id: int,
        aged: Sequence[_Aged],
        event: ConsentEvent,
        source: str,
        now: datetime,
    ) -> None:
        await connection.execute(
            _SQL["log"], merchant_id, self._ids.block(len(aged)), event.value, now,
            [each.subscriber_id for each in aged], [each.msisdn for each in aged],
            [each.purpose.value for each in aged], [each.state.value for each in aged], source,
        )  # fmt: skip
        silent = event is ConsentEvent.CARRIER_STOP  # the network lets no text through
        states = [NewState(each.subscriber_id, each.purpose, each.state, now, silent=silent) for each in aged]
        await set_states(connection, merchant_id, states)
        offers = [each for each in aged if each.purpose is Purpose.OFFERS]
        ended = [each.msisdn for each in offers if each.state is not ConsentState.SUBSCRIBED]
        if event in {ConsentEvent.IDLE, ConsentEvent.CARRIER_STOP}:
            await connection.execute(_INBOUND["close_offers"], [merchant_id] * len(ended), ended)
        taken_back = [
            TakenBack(merchant_id, each.msisdn, each.purpose is Purpose.OFFERS)
            for each in aged
            if each.state is not ConsentState.SUBSCRIBED
        ]
        await publish_taken_back(connection, taken_back)
        told = [each for each in aged if each.told]
        await insert_events(connection, self._events(merchant_id, told, event, source, now))

    def _events(
        self, merchant_id: int, aged: Sequence[_Aged], event: ConsentEvent, source: str, now: datetime
    ) -> EventColumns:
        columns = EventColumns()
        base = self._ids.block(max(len(aged), 1))
        for place, each in enumerate(aged):
            granted = each.state is ConsentState.SUBSCRIBED
            columns.merchant_ids.append(merchant_id)
            columns.event_ids.append(base + place)
            columns.types.append("consent.granted" if granted else "consent.revoked")
            columns.subjects.append(self._public_subscriber(each.subscriber_id))
            data = {"purpose": each.purpose.value, "source": source, "reason": event.value}
            columns.data.append(orjson.dumps(data).decode())
            columns.created_at.append(now)
        return columns


def _aged(
    found: Iterable[asyncpg.Record], msisdns: Mapping[int, int], event: ConsentEvent, now: datetime
) -> list[_Aged]:
    """Return the states that the event changes, of rows of `states_of`."""
    aged: list[_Aged] = []
    for subscriber_id, purpose, name in found:
        before = ConsentState(name)
        state = decide(before, event, evidence_at=now).state
        if state is not before:
            aged.append(_Aged(subscriber_id, msisdns[subscriber_id], Purpose(purpose), before, state))
    return aged
