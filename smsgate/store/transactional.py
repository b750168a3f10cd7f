"""Transactional texts: whom they are for, and their place in the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smsgate.campaigns.consent import ConsentState, Purpose, refusal_to_tell
from smsgate.errors import Invalid, NotFound
from smsgate.flows.commerce_records import Recipient
from smsgate.flows.system_messages import columns_of
from smsgate.flows.transactional import PURPOSES, check_may_tell
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
            raise NotFound("No such object.")
        return Recipient(row["subscriber_id"], row["msisdn"], states_of(row))

    async def add(self, message: SystemMessage) -> None:
        async with self._database.transaction(message.merchant_id) as connection:
            # A STOP changes the row: either it is seen here, or the claim sees it.
            row = await connection.fetchrow(
                _SQL["lock_recipient"], message.merchant_id, message.subscriber_id
            )
            if row is None:
                raise NotFound("No such object.")
            check_may_tell(message.kind, states_of(row))
            await insert_system_messages(connection, columns_of([message]))


def states_of(row: asyncpg.Record) -> dict[Purpose, ConsentState]:
    """Return a person's states from `offers_state` and `others`, which are texts such as "polls=none"."""
    states = {Purpose.OFFERS: ConsentState(row["offers_state"])}
    for text in row["others"]:
        purpose, _, state = text.partition("=")
        states[Purpose(purpose)] = ConsentState(state)
    return states


def stopped(rows: Sequence[asyncpg.Record]) -> list[bool]:
    """Return which claimed messages must not go any more; rows of other kinds have `others` NULL."""
    return [
        row["kind"] in PURPOSES
        and (row["offers_state"] is None or bool(refusal_to_tell(PURPOSES[row["kind"]], states_of(row))))
        for row in rows
    ]
