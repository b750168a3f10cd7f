"""Messages out and in, as merchants read them: the state of an MT is a join of what was inserted about it."""

from __future__ import annotations

from typing import Final

import asyncpg

from smsgate.campaigns.offer_states import MessageEvent, MessageState, message_state
from smsgate.campaigns.rendering import field_names
from smsgate.errors import NotFound
from smsgate.flows.commerce_records import InboundRecord, MessageRecord, Page, PageAsk
from smsgate.flows.records import STATUS_NOT_SENT, STATUS_UNKNOWN, Hold
from smsgate.protocol.commands import CommandId, status_text
from smsgate.protocol.frames import Frame
from smsgate.protocol.mo_text import read_mo
from smsgate.protocol.pdus import decode_pdu
from smsgate.protocol.receipt_states import FINAL
from smsgate.protocol.tlvs import Tag, tlv_value
from smsgate.store.catalogue import load
from smsgate.store.pages import ID_END, page_rows
from smsgate.store.pool import Database

_SQL: Final = load("messages")
_FINAL_STATES: Final = sorted(FINAL)


class PgMessages:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, merchant_id: int, message_id: int) -> MessageRecord:
        async with self._database.reading(merchant_id, planned_once=True) as connection:
            row = await connection.fetchrow(_SQL["message"], merchant_id, message_id, _FINAL_STATES)
        if row is None:
            raise NotFound
        return _record(row)

    async def page(
        self,
        merchant_id: int,
        ask: PageAsk,
        *,
        campaign_id: int | None = None,
        subscriber_id: int | None = None,
        id_min: int | None = None,
        id_max: int | None = None,
        state: str | None = None,
    ) -> Page[MessageRecord]:
        """
        Return messages, newest first; `id_min` and `id_max` bound when they were made (smsgate.ids).

        `state` (refused, unknown, not_sent) needs a campaign: its range of ids bounds what is read.
        """
        async with self._database.reading(merchant_id) as connection:
            lo, hi = None, None
            if campaign_id is not None:
                row = await connection.fetchrow(_SQL["campaign_message_range"], merchant_id, campaign_id)
                lo, hi = (None, None) if row is None else (row["lo"], row["hi"])
                if lo is None:
                    return Page([], has_more=False)
            if state is None:
                rows, more = await page_rows(
                    connection, _SQL["messages_page"], merchant_id, ask, _FINAL_STATES, campaign_id, lo, hi,
                    subscriber_id, id_min, id_max, None,
                )  # fmt: skip
            else:
                assert campaign_id is not None
                found, more = await page_rows(
                    connection, _SQL["campaign_messages_in_state_page"], merchant_id, ask, campaign_id, lo,
                    hi, state, _FINAL_STATES, id_min, id_max, subscriber_id,
                )  # fmt: skip
                ids = [row["page_id"] for row in found]
                rows = await connection.fetch(
                    _SQL["messages_page"], merchant_id, ID_END, len(ids), _FINAL_STATES, campaign_id, lo, hi,
                    None, None, None, ids,
                )  # fmt: skip
                rows.sort(key=lambda row: ids.index(row["page_id"]))
        return Page([_record(row) for row in rows], more)

    async def get_inbound(self, merchant_id: int, inbound_id: int) -> InboundRecord:
        async with self._database.reading(merchant_id) as connection:
            row = await connection.fetchrow(_SQL["inbound_message"], merchant_id, inbound_id)
        if row is None:
            raise NotFound
        return _inbound(row)

    async def page_inbound(
        self,
        merchant_id: int,
        ask: PageAsk,
        campaign_id: int | None = None,
        label: str | None = None,
        outcome: str | None = None,
    ) -> Page[InboundRecord]:
        async with self._database.reading(merchant_id) as connection:
            rows, more = await page_rows(
                connection, _SQL["inbound_messages_page"], merchant_id, ask, campaign_id, label, outcome
            )
        return Page([_inbound(row) for row in rows], more)


def state_of(
    *,
    known: int,
    parts: int,
    status_min: int,
    status_max: int,
    finals: int,
    delivered: int,
    held: bool = False,
) -> MessageState:
    """
    Return what became of a message of so many `parts`, of which `known` have an outcome.

    One part in doubt leaves the whole in doubt, one refused refuses it, one that was not sent after others
    were makes it fail; delivered is when all are.
    """
    if known == 0:
        return message_state(MessageEvent.HOLD) if held else message_state()
    if status_max > 0:
        return message_state(MessageEvent.REFUSE)
    if status_max == STATUS_NOT_SENT:
        return message_state(MessageEvent.DROP)
    events = [MessageEvent.DOUBT if status_min == STATUS_UNKNOWN else MessageEvent.ACCEPT]
    if status_min == STATUS_NOT_SENT:
        events.append(MessageEvent.DROP)
    if finals > delivered:
        events.append(MessageEvent.FAIL)
    elif delivered >= parts:
        events.append(MessageEvent.DELIVER)
    return message_state(*events)


def rendered(text: str, values: list[str]) -> str:
    """Return an offer's text as one person got it; `values` are in the order of the text's field names."""
    for name, value in zip(field_names(text), values, strict=False):
        text = text.replace(f"{{{name}}}", value)
    return text


def _record(row: asyncpg.Record) -> MessageRecord:
    state = state_of(
        known=row["known"],
        parts=row["parts"],
        status_min=row["status_min"] or 0,
        status_max=row["status_max"] or 0,
        finals=row["finals"],
        delivered=row["delivered"],
        held=row["hold"] is not None,
    )
    return MessageRecord(
        message_id=row["message_id"],
        campaign_id=row["campaign_id"],
        subscriber_id=row["subscriber_id"],
        msisdn=row["msisdn"],
        kind=row["kind"],
        sender=row["sender"],
        text=_text(row),
        order_id=row["order_id"],
        inbound_id=row["inbound_id"],
        state=state.value,
        reason=_reason(state, row) if row["hold"] is None else row["hold"],
        segments=_segments(row),
        sell_item_id=row["sell_item_id"] or 0,
        sell_micros=row["sell_micros"],
        currency=row["currency"],
        sent_at=None if state is MessageState.NOT_SENT else row["sent_at"],  # when it was decided, for those
        final_at=row["final_at"],
        hold=None if row["hold"] is None else Hold(row["hold"], row["hold_rule"], row["not_before"]),
    )


def _segments(row: asyncpg.Record) -> int:
    """Return what the message counts for, also while not all of its parts have an outcome."""
    return max(row["segments"], row["parts"]) if row["known"] else 0


def _text(row: asyncpg.Record) -> str:
    """Return the text as people read it; of a binary message there is none."""
    if row["submitted"] is not None:
        return submitted_text(row["submitted"])
    return row["body"] if row["body"] is not None else rendered(row["text"] or "", row["fields"] or [])


def submitted_text(body: bytes) -> str:
    """Return the text of what an ESME submitted, as it is kept; a binary or erased message has none."""
    if not body:  # erased
        return ""
    pdu = decode_pdu(Frame(CommandId.SUBMIT_SM, 0, 0, body))
    payload = tlv_value(pdu.tlvs, Tag.MESSAGE_PAYLOAD)
    fields = pdu.fields
    return read_mo(
        fields["short_message"], fields["data_coding"], fields["esm_class"], message_payload=payload
    ).text


def _reason(state: MessageState, row: asyncpg.Record) -> str | None:
    """Return why a message did not arrive: our own word, or the carrier's command_status."""
    if state is MessageState.REFUSED:
        return status_text(row["status_max"])
    reason: str | None = row["sent_reason"]
    return reason


def _inbound(row: asyncpg.Record) -> InboundRecord:
    return InboundRecord(**{name: row[name] for name in InboundRecord.__slots__})
