"""Messages of the gateway to one person, written with the change that they tell of."""

from __future__ import annotations

from typing import Final

from smsgate.flows.commerce_records import SystemMessageColumns
from smsgate.store.array_octets import ids_text, numbers_text, texts_text
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection
from smsgate.store.together import Together

_SQL: Final = load("system_messages")


async def insert_system_messages(connection: Connection, columns: SystemMessageColumns) -> None:
    """Write the messages and put them in the interactive queue, in the caller's transaction."""
    together = Together()
    add_system_messages(together, columns)
    await together.run(connection)


def add_system_messages(together: Together, columns: SystemMessageColumns) -> None:
    """Have them written with what else the caller writes."""
    if columns.message_ids:
        together.write(
            _SQL["insert_system_messages"], ids_text(columns.merchant_ids), ids_text(columns.message_ids),
            numbers_text(columns.subscriber_ids), ids_text(columns.msisdns), texts_text(columns.kinds),
            texts_text(columns.senders), texts_text(columns.bodies), numbers_text(columns.order_ids),
            numbers_text(columns.inbound_ids), columns.expires_at, columns.pushes, columns.tlvs,
        )  # fmt: skip
