"""Replies as rows, each with what is charged for it."""

from __future__ import annotations

from typing import Final

from smsgate.flows.inbound_records import InboundWrites
from smsgate.store.array_octets import ids_text, numbers_text, texts_text
from smsgate.store.catalogue import load
from smsgate.store.together import Together

_SQL: Final = load("inbound")


def add_replies(together: Together, writes: InboundWrites) -> None:
    """Have the rows of a group written; each has its charge, which is nothing where it is free."""
    rows, charges = writes.rows, writes.charges
    assert len(rows) == len(charges)
    headers = [row.mo.header for row in rows]
    together.write(
        _SQL["insert_inbound"], ids_text([row.merchant_id for row in rows]),
        ids_text([row.inbound_id for row in rows]), ids_text([row.mo.carrier_id for row in rows]),
        ids_text([row.mo.msisdn for row in rows]), texts_text([row.mo.destination for row in rows]),
        texts_text([row.mo.text for row in rows]), [row.mo.raw for row in rows],
        ids_text([row.mo.data_coding for row in rows]), numbers_text([row.subscriber_id for row in rows]),
        numbers_text([row.campaign_id for row in rows]), numbers_text([row.message_id for row in rows]),
        numbers_text([row.order_id for row in rows]), texts_text([row.label for row in rows]),
        numbers_text([row.quantity for row in rows]), texts_text([row.outcome for row in rows]),
        texts_text([row.reason for row in rows]), texts_text([row.rules_version for row in rows]),
        [row.mo.received_at for row in rows],
        numbers_text([header.esm_class for header in headers]),
        numbers_text([header.source_ton for header in headers]),
        numbers_text([header.source_npi for header in headers]),
        numbers_text([header.destination_ton for header in headers]),
        numbers_text([header.destination_npi for header in headers]), [header.tlvs for header in headers],
        ids_text([charge.segments for charge in charges]), ids_text([charge.item_id for charge in charges]),
        ids_text([charge.micros for charge in charges]),
    )  # fmt: skip
