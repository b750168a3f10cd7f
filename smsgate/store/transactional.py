"""Transactional texts: whom they are for, and their place in the queue."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from smsgate.campaigns.consent import ConsentState, Purpose, refusal_to_tell
from smsgate.campaigns.telling import Standing, refusal_of_text
from smsgate.errors import Invalid, NotFound
from smsgate.flows.commerce_records import Recipient
from smsgate.flows.system_messages import columns_of
from smsgate.flows.transactional import PURPOSES, check_may_tell
from smsgate.ids import unix_ms_of
from smsgate.store.catalogue import load
from smsgate.store.system_messages import insert_system_messages

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from smsgate.flows.commerce_records import SystemMessage
    from smsgate.store.pool import Database

_SQL: Final = load("transactional")


class PgTransactional:
    """Implements `ports_commerce.TransactionalStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def recipient(self, merchant_id: int, subscriber_id: int | None, msisdn: int | None) -> Recipient:
        async with self._database.transaction(merchant_id) as connection:
            row = await connection.fetchrow(_SQL["recipient"], merchant_id, subscriber_id, msisdn)
        if row is None and subscriber_id is None:
            raise Invalid("this number is no subscriber", code="subscriber_unknown", pointer="/to")
        if row is None:
            raise NotFound
        return Recipient(row["subscriber_id"], row["msisdn"], states_of(row))

    async def add(self, message: SystemMessage) -> None:
        async with self._database.transaction(message.merchant_id) as connection:
            # A STOP changes the row: either it is seen here, or the claim sees it.
            row = await connection.fetchrow(
                _SQL["lock_recipient"], message.merchant_id, message.subscriber_id
            )
            if row is None:
                raise NotFound
            check_may_tell(message.kind, states_of(row))
            await connection.execute(_SQL["writes_from"], message.merchant_id, message.sender)
            await insert_system_messages(connection, columns_of([message]))


def states_of(row: asyncpg.Record) -> dict[Purpose, ConsentState]:
    """Return a person's states from `offers_state` and `others`, which are texts such as "polls=none"."""
    states = {Purpose.OFFERS: ConsentState(row["offers_state"])}
    for text in row["others"]:
        purpose, _, state = text.partition("=")
        states[Purpose(purpose)] = ConsentState(state)
    return states


def stopped(rows: Sequence[asyncpg.Record]) -> list[bool]:
    """Return which claimed messages must not go any more; rows without a purpose have `others` NULL."""
    return [_purpose_ended(row) or _silenced(row) for row in rows]


def _purpose_ended(row: asyncpg.Record) -> bool:
    """Return whether a merchant's text is refused; whose person is gone is."""
    return row["kind"] in PURPOSES and (
        row["offers_state"] is None or bool(refusal_to_tell(PURPOSES[row["kind"]], states_of(row)))
    )


def _silenced(row: asyncpg.Record) -> bool:
    """Return whether a text of the gateway's own is refused; of a person who is unknown nothing is known."""
    if row["offers_state"] is None or row["kind"] in PURPOSES:
        return False
    states = {Purpose.OFFERS: ConsentState(row["offers_state"])}
    standing = Standing(states, row["offers_state_at"], row["silent_at"])
    made_at = datetime.fromtimestamp(unix_ms_of(row["message_id"]) / 1_000, UTC)
    return refusal_of_text(row["kind"], standing, answers=row["answers"], made_at=made_at) is not None
