"""The gateway's own messages to one person: composed here, written by whoever decides that they are due."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from smsgate.flows.commerce_records import SystemMessage, SystemMessageColumns

# News of an order is worth nothing the day after; the carrier's validity period is the same.
SYSTEM_MESSAGE_LIFE: Final = timedelta(hours=24)


def columns_of(messages: Iterable[SystemMessage]) -> SystemMessageColumns:
    """Return the messages as `store.system_messages.insert_system_messages` takes them."""
    columns = SystemMessageColumns()
    for message in messages:
        add_system_message(columns, message)
    return columns


def add_system_message(columns: SystemMessageColumns, message: SystemMessage) -> None:
    columns.merchant_ids.append(message.merchant_id)
    columns.message_ids.append(message.message_id)
    columns.subscriber_ids.append(message.subscriber_id)
    columns.msisdns.append(message.msisdn)
    columns.kinds.append(message.kind)
    columns.senders.append(message.sender)
    columns.bodies.append(message.body)
    columns.order_ids.append(message.order_id)
    columns.inbound_ids.append(message.inbound_id)
    columns.expires_at.append(message.expires_at)
    columns.pushes.append(message.push)
    columns.tlvs.append(message.tlvs or None)
