"""What stamps hash of rows is what a proof file holds of them, octet for octet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.flows.order_entries import KINDS, STAMPED, Entries, ProofRows
from smsgate.flows.records import STATUS_UNKNOWN
from smsgate.security.proof_stamps import Content, content_of
from smsgate.security.public_ids import PublicIds

IDS = PublicIds(bytes(32))
AT = datetime(2026, 11, 27, 21, 40, 0, 5, UTC)
LATER = datetime(2026, 11, 27, 23, 40, tzinfo=timezone(timedelta(hours=1)))
OFFER = {
    "offer_id": 7, "version": 1, "text": "Jazz", "price_minor": 1990, "currency": "EUR", "quantity_max": 5,
    "ask_above_minor": None, "withdrawal": True, "expires_at": LATER, "created_at": AT,
}  # fmt: skip
TERMS = {"offer_id": 7, "version": 1, "created_at": AT, "cancel_window_s": 0, "confirm_by_sms": False}


def rows_of(text: str, octets: bytes, *, gone: bool) -> ProofRows:
    """Return an order's rows; what may be missing is missing where `gone`."""
    placed, number = (None, None) if gone else (LATER, 3)
    return ProofRows(
        order=[{
            "order_id": 3, "number": "12345678", "total_minor": 1, "unit_price_minor": 1990,
            "currency": "JPY",
            "msisdn": 33612345678, "created_at": AT, "placed_at": placed, "inbound_id": 9, "message_id": 4,
            "unstamped": False,
        }],
        offer=[OFFER],
        offer_terms=[TERMS],
        offer_message=[{"message_id": 4, "msisdn": 33612345678, "fields": None, "text": text, "at": AT}],
        consent=[{
            "of_order": 3, "consent_id": 5, "evidence": '{"b": 1.0, "a": [true, null, "é"]}',
            "inbound_id": number, "occurred_at": AT, "recorded_at": LATER,
        }],
        reply=[{
            "inbound_id": 9, "text": text, "raw": octets, "tlvs": None if gone else octets,
            "quantity": number, "received_at": AT,
        }],
        order_step=[{"sequence": n, "event": "customer_ok", "detail": "{}", "at": AT} for n in (1, 2)],
        text=[{"message_id": 8, "kind": "order_receipt", "body": text, "at": LATER}],
        submitted=[
            {"message_id": 4, "segment": 1, "status": status, "smsc_id": octets, "reason": "", "sent_at": AT}
            for status in (0, STATUS_UNKNOWN)
        ],
        receipt=[{"message_id": 4, "segment": 1, "receipt_state": 2, "error": octets, "received_at": AT}],
        event=[{
            "event_id": 6, "type": "order.created", "data": '{"z": {"y": 1, "x": 2}, "a": 0}',
            "created_at": AT,
        }],
        delivery=[{"event_id": 6, "endpoint_id": 2, "state": "pending", "attempts": 0, "at": AT}],
    )  # fmt: skip


def of_entries(rows: ProofRows) -> list[Content]:
    """Return the same by way of the entries that a file holds."""
    entries = Entries(IDS).of(rows)
    unknown = [entry for entry in entries if entry.body.get("status") == STATUS_UNKNOWN]
    return [content_of(e) for e in entries if e.kind != "delivery" and e not in unknown]


@given(st.text(), st.binary(max_size=20), st.booleans(), st.booleans())
def test_a_stamp_hashes_rows_as_a_file_holds_them(
    text: str, octets: bytes, first: bool, second: bool
) -> None:
    orders = [rows_of(text, octets, gone=first), rows_of(text[::-1], octets, gone=second)]
    made = Entries(IDS).contents(orders)
    assert made == [of_entries(rows) for rows in orders]
    assert [content.kind for content in made[0]].count("submitted") == 1


def test_every_kind_of_row_but_deliveries_is_stamped() -> None:
    rows = rows_of("OK", b"OK", gone=False)
    assert [kind for kind in KINDS if getattr(rows, kind)] == list(KINDS)
    assert {content.kind for content in Entries(IDS).contents([rows])[0]} == set(STAMPED)


@pytest.mark.parametrize("column", ["text", "body"])
def test_half_a_surrogate_pair_is_refused_in_both(column: str) -> None:
    rows: Any = rows_of("OK", b"OK", gone=False)
    (row,) = rows.reply if column == "text" else rows.text
    row[column] = "\ud800"
    with pytest.raises((TypeError, UnicodeEncodeError)):
        of_entries(rows)
    with pytest.raises((TypeError, UnicodeEncodeError)):
        Entries(IDS).contents([rows])
