"""Messages of the gateway to one person, written with the change that they tell of."""

from __future__ import annotations

from typing import Final

from smsgate.flows.commerce_records import SystemMessageColumns
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection

_SQL: Final = load("system_messages")


async def insert_system_messages(connection: Connection, columns: SystemMessageColumns) -> None:
    """Write the messages and put them in the interactive queue, in the caller's transaction."""
    if columns.message_ids:
        await connection.execute(
            _SQL["insert_system_messages"], columns.merchant_ids, columns.message_ids, columns.subscriber_ids,
            columns.msisdns, columns.kinds, columns.senders, columns.bodies, columns.order_ids,
            columns.inbound_ids, columns.expires_at, columns.pushes, columns.tlvs,
        )  # fmt: skip
