"""Messages of the gateway to one person, written with the change that they tell of."""

from __future__ import annotations

from typing import Final

from smsgate.flows.commerce_records import SystemMessageColumns
from smsgate.flows.inbound_records import TextClaim
from smsgate.store.array_octets import ids_text, numbers_text, texts_text
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection
from smsgate.store.together import Read, Together

_SQL: Final = load("system_messages")
_QUEUED: Final = ("message_id", "owner")


async def insert_system_messages(connection: Connection, columns: SystemMessageColumns) -> None:
    """Write the messages and put them in the interactive queue, in the caller's transaction."""
    together = Together()
    add_system_messages(together, columns)
    await together.run(connection)


def add_system_messages(
    together: Together, columns: SystemMessageColumns, claim: TextClaim | None = None
) -> Read:
    """Have them written with what else the caller writes; return their ids, and the owner of each."""
    if not columns.message_ids:
        return Read(_QUEUED)
    owners = [
        claim.owner if claim is not None and message_id in claim.message_ids else None
        for message_id in columns.message_ids
    ]
    return together.read(
        _SQL["insert_system_messages"], _QUEUED, ids_text(columns.merchant_ids),
        ids_text(columns.message_ids), numbers_text(columns.subscriber_ids), ids_text(columns.msisdns),
        texts_text(columns.kinds), texts_text(columns.senders), texts_text(columns.bodies),
        numbers_text(columns.order_ids), numbers_text(columns.inbound_ids), columns.expires_at,
        columns.pushes, columns.tlvs, numbers_text(owners),
    )  # fmt: skip
