"""Consent in the transaction of a group of MOs: what the desk reads beside offers, and what it decided."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import orjson

from smsgate.campaigns.consent import ConsentEvent, ConsentState
from smsgate.flows.inbound_records import (
    InboundContext,
    InboundWrites,
    MerchantCard,
    SenderMerchant,
)
from smsgate.flows.inbound_stops import SENDER_MERCHANTS_MAX
from smsgate.flows.records import MobileOriginated
from smsgate.security.suppression import EVERYBODY, SuppressionHashes
from smsgate.store.catalogue import load
from smsgate.store.columns import columns
from smsgate.store.connection import Connection
from smsgate.store.consent_states import NewState, set_states
from smsgate.store.suppression import noted_among
from smsgate.store.together import Together

_SQL: Final = load("inbound")


async def read_writers(
    connection: Connection,
    hashes: SuppressionHashes,
    context: InboundContext,
    of_anybody: Sequence[MobileOriginated],
    users: Mapping[str, Collection[str] | None],
) -> None:
    """Read who writes, or wrote, from the numbers that were answered, and which STOPs are noted already."""
    if not of_anybody:
        return
    senders = {mo.destination for mo in of_anybody}
    named = [(sender, slug) for sender in senders for slug in users.get(sender) or ()]
    rows = await connection.fetch(
        _SQL["sender_merchants"],
        list(senders),
        [sender for sender, _ in named],
        [slug for _, slug in named],
        [sender for sender in senders if users.get(sender, ()) is None],
        SENDER_MERCHANTS_MAX + 1,
    )
    for row in rows:
        card = MerchantCard(**{name: row[name] for name in MerchantCard.__slots__})
        found = context.sender_merchants.setdefault(row["sender"], [])
        found.append(SenderMerchant(card, row["wrote"], row["active"]))
    merchants = {each.card.merchant_id for found in context.sender_merchants.values() for each in found}
    msisdns = {mo.msisdn for mo in of_anybody}
    keys = [(merchant_id, msisdn) for merchant_id in (EVERYBODY, *merchants) for msisdn in msisdns]
    context.stops_noted |= await noted_among(connection, hashes, keys)


def add_consents(together: Together, writes: InboundWrites) -> None:
    """Have what was said of consent appended to the log."""
    rows = writes.consents
    if rows:
        together.write(
            _SQL["insert_consents"],
            *columns(
                rows, "merchant_id", "consent_id", "subscriber_id", "msisdn", "event", "state_after",
                "inbound_id", "at", "purpose.value", "wording_version", "source",
            ),
            [orjson.dumps(row.evidence).decode() for row in rows],
        )  # fmt: skip


async def write_consent_states(connection: Connection, writes: InboundWrites) -> None:
    """Bring the states in line with the log."""
    rows = writes.consents
    if rows:
        last = {
            (row.merchant_id, row.subscriber_id, row.purpose): row
            for row in rows
            if row.event != ConsentEvent.LESS  # changes no state, nor until when one is paused
        }
        for merchant_id in sorted({row.merchant_id for row in rows}):
            states = [
                NewState(
                    row.subscriber_id,
                    row.purpose,
                    ConsentState(row.state_after),
                    row.at,
                    row.paused_until,
                    row.silent,
                )
                for key, row in last.items()
                if key[0] == merchant_id
            ]
            await set_states(connection, merchant_id, states)
    for name, instants in (("set_doubts", writes.doubts), ("set_less", writes.less)):
        if instants:
            merchants, subscribers = zip(*instants, strict=True)
            await connection.execute(_SQL[name], merchants, subscribers, list(instants.values()))
    if writes.questions_closed:
        await connection.execute(
            _SQL["close_questions"],
            [merchant_id for merchant_id, _, _ in writes.questions_closed],
            [msisdn for _, msisdn, _ in writes.questions_closed],
            [purpose.value for _, _, purpose in writes.questions_closed],
        )
