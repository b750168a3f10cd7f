"""Subscribers and the log of their consents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from smsgate.campaigns.consent import (
    VOIDS_EARLIER,
    ConsentEvent,
    ConsentState,
    Decision,
    Purpose,
    decide,
)
from smsgate.campaigns.places import check_place, place_key
from smsgate.campaigns.similar_products import SOLD, check_country
from smsgate.errors import Conflict, DomainError, Invalid, NotFound, StoreError
from smsgate.flows.commerce_records import EventColumns, Page
from smsgate.flows.inbound_records import Question
from smsgate.flows.ports_api import (
    ConsentDraft,
    Consented,
    ConsentRow,
    SubscriberChange,
    SubscriberDraft,
    SubscriberRow,
)
from smsgate.flows.system_messages import columns_of
from smsgate.store.catalogue import load
from smsgate.store.consent_states import NewState, set_states
from smsgate.store.events import insert_events
from smsgate.store.notices import publish_stop, publish_withdrawal
from smsgate.store.pages import page_rows
from smsgate.store.questions import put_questions
from smsgate.store.suppression import lock_for_adding, stops_among, suppressed_among, suppressed_to_add
from smsgate.store.system_messages import insert_system_messages

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

    from smsgate.flows.commerce_records import PageAsk, SystemMessage
    from smsgate.security.suppression import SuppressionHashes
    from smsgate.store.connection import Connection
    from smsgate.store.pool import Database

_SQL: Final = load("subscribers")
_INBOUND: Final = load("inbound")  # a STOP closes offers in one way, whoever takes it
VOIDING_EVENTS: Final = [event.value for event in VOIDS_EARLIER]
REFUSALS: Final = {
    "stop_is_newer": "A STOP, a no or three years of silence ended that consent; only a newer one counts.",
    "consent_missing": "Wording version, source and time of the consent are needed.",
    "suppressed": "This number may not be written to any more.",
}


class PgSubscribers:
    """Implements `ports_api.SubscriberStore`."""

    def __init__(self, database: Database, hashes: SuppressionHashes) -> None:
        self._database = database
        self._hashes = hashes

    async def add(self, merchant_id: int, draft: SubscriberDraft, now: datetime) -> SubscriberRow:
        try:
            async with self._database.transaction(merchant_id) as connection:
                row = await connection.fetchrow(
                    _SQL["insert_subscriber"], merchant_id, draft.subscriber_id, draft.msisdn,
                    draft.external_id, draft.language, draft.country, list(draft.tags), _json(draft.fields),
                    now, draft.region, draft.timezone,
                    place_key(draft.country, draft.region, draft.timezone, str(draft.msisdn)),
                )  # fmt: skip
                # After the row: an erasure of this number that it waited for has left its hash.
                if await suppressed_to_add(connection, self._hashes, merchant_id, [draft.msisdn]):
                    raise _refusal("suppressed")
        except StoreError as exc:
            if not exc.is_duplicate:
                raise
            async with self._database.transaction(merchant_id) as connection:
                if await suppressed_among(connection, self._hashes, merchant_id, [draft.msisdn]):
                    raise _refusal("suppressed") from exc
                known = await connection.fetchval(_SQL["subscriber_of_msisdn"], merchant_id, draft.msisdn)
            raise Conflict(
                "This number is a subscriber already.",
                code="subscriber_exists",
                pointer="/msisdn",
                extra={"subscriber_id": known},
            ) from exc
        if row is None:
            raise NotFound
        return _subscriber(row)

    async def get(self, merchant_id: int, subscriber_id: int) -> SubscriberRow:
        async with self._database.transaction(merchant_id) as connection:
            row = await connection.fetchrow(_SQL["subscriber"], merchant_id, subscriber_id)
        if row is None:
            raise NotFound
        return _subscriber(row)

    async def list(
        self, merchant_id: int, ask: PageAsk, *, msisdn: int | None, tag: str | None, state: str | None
    ) -> Page[SubscriberRow]:
        async with self._database.transaction(merchant_id) as connection:
            rows, more = await page_rows(
                connection, _SQL["subscribers_page"], merchant_id, ask, msisdn, tag, state
            )
        return Page([_subscriber(row) for row in rows], more)

    async def change(
        self, merchant_id: int, subscriber_id: int, change: SubscriberChange, now: datetime
    ) -> SubscriberRow:
        async with self._database.transaction(merchant_id) as connection:
            place = await _place(connection, merchant_id, subscriber_id, change)
            row = await connection.fetchrow(
                _SQL["change_subscriber"], merchant_id, subscriber_id, change.external_id, change.language,
                None if change.tags is None else list(change.tags),
                None if change.fields is None else _json(change.fields), now, change.region, change.timezone,
                place,
            )  # fmt: skip
        if row is None:
            raise NotFound
        return _subscriber(row)

    async def consent(self, merchant_id: int, draft: ConsentDraft, now: datetime) -> Consented:
        async with self._database.transaction(merchant_id) as connection:
            held = await connection.fetchrow(_SQL["lock_consent"], merchant_id, draft.subscriber_id)
            if held is None:
                raise NotFound
            found = await connection.fetchrow(
                _SQL["consent_of"], merchant_id, draft.subscriber_id, draft.purpose, VOIDING_EVENTS
            )
            assert found is not None  # its row is locked
            before, event = ConsentState(found["state"]), _event(draft)
            evidence_at = draft.occurred_at
            if draft.order_id is not None:
                evidence_at = await _sold_at(connection, merchant_id, draft, held["country"], now)
            if draft.granted:
                await lock_for_adding(
                    connection
                )  # a STOP that is being noted reads no consent but of the past
            strangers = await stops_among(connection, self._hashes, merchant_id, [held["msisdn"]])
            stops = [each for each in (found["stopped_at"], *strangers.values()) if each is not None]
            decision = decide(
                before, event, evidence_at=evidence_at, last_stop_at=max(stops, default=None),
                evidence_complete=bool(draft.wording_version and draft.source) or not draft.granted,
            )  # fmt: skip
            if not decision.accepted:
                raise _refusal(decision.code)
            row = await connection.fetchrow(
                _SQL["insert_consent"], merchant_id, draft.consent_id, draft.subscriber_id, held["msisdn"],
                draft.purpose, event.value, decision.state.value, draft.wording_version, draft.source,
                _json(draft.evidence), draft.occurred_at, now,
            )  # fmt: skip
            assert row is not None
            if decision.state is not before:
                await _set_state(connection, merchant_id, draft, decision.state, now)
            if before is ConsentState.PENDING and decision.state is not before:
                done = [merchant_id], [held["msisdn"]], [draft.purpose]
                await connection.execute(_INBOUND["close_questions"], *done)
            if decision.state is ConsentState.PENDING and before is not ConsentState.PENDING:
                await _ask(connection, draft, now)
            elif draft.purpose == Purpose.OFFERS:
                await _spread(connection, merchant_id, held["msisdn"], decision)
            elif not draft.granted:
                await publish_withdrawal(connection, merchant_id, held["msisdn"])
            if draft.welcome is not None and decision.tell == "start_welcome":
                await _greet(connection, draft.welcome)
        return Consented(_consent(row), held["msisdn"])

    async def consents(
        self, merchant_id: int, ask: PageAsk, *, subscriber_id: int | None
    ) -> Page[ConsentRow]:
        async with self._database.transaction(merchant_id) as connection:
            rows, more = await page_rows(connection, _SQL["consents_page"], merchant_id, ask, subscriber_id)
        return Page([_consent(row) for row in rows], more)


def _refusal(code: str) -> DomainError:
    return DomainError(REFUSALS[code], code=code, http_status=409)


async def _place(
    connection: Connection, merchant_id: int, subscriber_id: int, change: SubscriberChange
) -> str | None:
    """Return the place after the change; None: it stays."""
    if change.region is None and change.timezone is None:
        return None
    held = await connection.fetchrow(_SQL["lock_place"], merchant_id, subscriber_id)
    if held is None:
        raise NotFound
    region = held["region"] if change.region is None else change.region
    timezone = held["timezone"] if change.timezone is None else change.timezone
    check_place(held["country"], region, timezone)
    return place_key(held["country"], region, timezone, str(held["msisdn"]))


async def _sold_at(
    connection: Connection, merchant_id: int, draft: ConsentDraft, country: str, now: datetime
) -> datetime:
    """
    Return when the person bought; a stop since then forbids what a sale allows.

    Raises:
        Invalid: code `basis_not_allowed` or `order_no_sale`.
    """
    check_country(country, now.date())
    order = await connection.fetchrow(_SQL["order_of"], merchant_id, draft.order_id, draft.subscriber_id)
    if order is None or order["state"] not in SOLD:
        raise Invalid(
            "That is no order of this person that you sold something by.",
            code="order_no_sale",
            pointer="/similar_products/order",
        )
    at: datetime = order["created_at"]
    return at


def _event(draft: ConsentDraft) -> ConsentEvent:
    if not draft.granted:
        return ConsentEvent.STOP
    if draft.order_id is not None:
        return ConsentEvent.SIMILAR_PRODUCTS
    return ConsentEvent.OPT_IN if draft.question is None else ConsentEvent.OPT_IN_DOUBLE


async def _set_state(
    connection: Connection, merchant_id: int, draft: ConsentDraft, state: ConsentState, now: datetime
) -> None:
    """Move the projection, and tell the shop what the person agreed to or ended."""
    new = NewState(draft.subscriber_id, Purpose(draft.purpose), state, now)
    await set_states(connection, merchant_id, [new])
    if state is not ConsentState.PENDING:
        await _tell(connection, merchant_id, draft, now)


async def _ask(connection: Connection, draft: ConsentDraft, now: datetime) -> None:
    """Put the question, unless another one of this merchant waits on the number."""
    text = draft.question
    assert text is not None
    question = Question(
        text.merchant_id, draft.subscriber_id, Purpose(draft.purpose), draft.wording_version, now
    )
    if not await put_questions(connection, [(text.msisdn, text.sender, question)]):
        raise Conflict(
            "Another question waits for this person's answer on that number.",
            code="question_open",
            pointer="/double_opt_in/sender",
        )
    await insert_system_messages(connection, columns_of([text]))


async def _greet(connection: Connection, welcome: SystemMessage) -> None:
    """Write the welcome, unless the person said STOP to the number that it would come from."""
    if not await connection.fetchval(
        _SQL["stopped_sender"], welcome.merchant_id, welcome.sender, welcome.msisdn
    ):
        await insert_system_messages(connection, columns_of([welcome]))


async def _spread(connection: Connection, merchant_id: int, msisdn: int, decision: Decision) -> None:
    """Close the person's offers where they are over; who has some in hand hears of a consent that ends."""
    if decision.close_offers:
        await connection.execute(_INBOUND["close_offers"], [merchant_id], [msisdn])
        if decision.state is not ConsentState.SUBSCRIBED:
            await publish_stop(connection, merchant_id, msisdn)


async def _tell(connection: Connection, merchant_id: int, draft: ConsentDraft, now: datetime) -> None:
    columns = EventColumns()
    columns.merchant_ids.append(merchant_id)
    columns.event_ids.append(draft.event_id)
    columns.types.append("consent.granted" if draft.granted else "consent.revoked")
    columns.subjects.append(draft.event_subject)
    columns.data.append(_json(draft.event_data))
    columns.created_at.append(now)
    await insert_events(connection, columns)


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _subscriber(row: asyncpg.Record) -> SubscriberRow:
    return SubscriberRow(
        row["subscriber_id"], row["msisdn"], row["external_id"], row["language"], row["country"],
        tuple(row["tags"]), orjson.loads(row["fields"]), row["offers_state"], row["offers_state_at"],
        row["paused_until"], row["created_at"], row["updated_at"], row["region"], row["timezone"],
        {} if row["others"] is None else orjson.loads(row["others"]), row["fewer"],
    )  # fmt: skip


def _consent(row: asyncpg.Record) -> ConsentRow:
    return ConsentRow(
        row["consent_id"], row["subscriber_id"], row["purpose"], row["event"], row["state_after"],
        row["wording_version"], row["source"], orjson.loads(row["evidence"]), row["occurred_at"],
        row["recorded_at"],
    )  # fmt: skip
