"""WAP Push octets against Kannel's captures, the specification's example and their own limits."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.errors import Invalid, TextError
from smsgate.protocol.wap_push import (
    PART_OCTETS,
    Indication,
    Loading,
    SiAction,
    SlAction,
    indication_octets,
    loading_octets,
    push_messages,
    push_pdu,
)

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)

# The example of WAP-167 (Service Indication 1.0) with a later expiry; octets as Kannel's users have them
# (users@kannel.org, message 11202).
SPECIFICATION_EXAMPLE = Indication(
    "http://www.xyz.com/email/123/abc.wml",
    "You have 4 new emails",
    created=datetime(1999, 6, 25, 15, 23, 15, tzinfo=UTC),
    expires=datetime(2099, 6, 30, tzinfo=UTC),
)
SPECIFICATION_OCTETS = (
    b"\x02\x05\x6a\x00\x45\xc6\x0d\x03xyz\0\x85\x03email/123/abc.wml\0"
    b"\x0a\xc3\x07\x19\x99\x06\x25\x15\x23\x15\x10\xc3\x04\x20\x99\x06\x30\x01"
    b"\x03You have 4 new emails\0\x01\x01"
)
# What Kannel adds to a document that came by HTTP: User-Agent, Content-Length, Encoding-Version.
KANNEL_HEADERS = b"\xa9Python-urllib/3.11\0\x8d\x01\xa1\xc3\x93"


def captured(vector_id: str) -> bytes:
    lines = (Path(__file__).parents[2] / "data" / "protocol-vectors.jsonl").read_text("utf-8").splitlines()
    vector = next(vector for vector in map(json.loads, lines) if vector["id"] == vector_id)
    return bytes.fromhex(vector["fields"]["short_message"])


def test_an_indication_equals_the_example_of_the_specification() -> None:
    assert indication_octets(SPECIFICATION_EXAMPLE) == SPECIFICATION_OCTETS


def test_a_loading_equals_what_kannel_sent() -> None:
    pdu = push_pdu(Loading("http://x.example", SlAction.EXECUTE_LOW))
    assert push_messages(pdu).short_messages == (captured("submit_sm-041"),)


def test_an_indication_in_two_parts_equals_what_kannel_sent() -> None:
    indication = Indication(
        "https://www.boxman.example/catalogue/madonna/american-life?ref=sms",
        "The latest Madonna record is on sale at Boxman. Open the page to listen to it and to buy it.",
        SiAction.HIGH,
    )
    pdu = push_pdu(indication, transaction_id=3, headers=KANNEL_HEADERS)
    sent = push_messages(pdu, reference=3)
    assert sent.short_messages == (captured("submit_sm-049"), captured("submit_sm-050"))
    assert (sent.data_coding, sent.esm_class) == (4, 0x40)


@pytest.mark.parametrize(
    ("href", "si", "sl"),
    [
        ("http://a", b"\x0c\x03a\0", b"\x09\x03a\0"),
        ("http://www.a", b"\x0d\x03a\0", b"\x0a\x03a\0"),
        ("https://a", b"\x0e\x03a\0", b"\x0b\x03a\0"),
        ("https://www.a", b"\x0f\x03a\0", b"\x0c\x03a\0"),
        ("ftp://a", b"\x0b\x03ftp://a\0", b"\x08\x03ftp://a\0"),
        ("http://a.com/", b"\x0c\x03a\0\x85", b"\x09\x03a\0\x85"),
        ("http://a.edu/b", b"\x0c\x03a\0\x86\x03b\0", b"\x09\x03a\0\x86\x03b\0"),
        ("http://a.net/b", b"\x0c\x03a\0\x87\x03b\0", b"\x09\x03a\0\x87\x03b\0"),
        ("http://a.org/?u=b.com/c", b"\x0c\x03a\0\x88\x03?u=b\0\x85\x03c\0", None),
        ("http://a.com", b"\x0c\x03a.com\0", b"\x09\x03a.com\0"),
    ],
)
def test_an_href_is_shortened_by_the_tokens_of_its_document(href: str, si: bytes, sl: bytes | None) -> None:
    assert indication_octets(Indication(href, "t")) == b"\x02\x05\x6a\0\x45\xc6" + si + b"\x01\x03t\0\x01\x01"
    if sl is not None:
        assert loading_octets(Loading(href)) == b"\x02\x06\x6a\0\x85" + sl + b"\x01"


@pytest.mark.parametrize(("action", "code"), list(zip(SiAction, range(0x05, 0x0A), strict=True)))
def test_every_action_of_an_indication_has_its_token(action: SiAction, code: int) -> None:
    octets = indication_octets(Indication("http://a", "t", action, si_id="7"))
    assert octets == b"\x02\x05\x6a\0\x45\xc6\x0c\x03a\0\x11\x037\0" + bytes((code,)) + b"\x01\x03t\0\x01\x01"


@pytest.mark.parametrize(("action", "code"), list(zip(SlAction, range(0x05, 0x08), strict=True)))
def test_every_action_of_a_loading_has_its_token(action: SlAction, code: int) -> None:
    octets = loading_octets(Loading("http://a", action))
    assert octets == b"\x02\x06\x6a\0\x85\x09\x03a\0" + bytes((code,)) + b"\x01"


def test_a_date_travels_in_utc_without_the_zero_octets_at_its_end() -> None:
    paris = timezone(timedelta(hours=2))
    octets = indication_octets(Indication("http://a", "t", created=datetime(2026, 8, 1, 0, 30, tzinfo=paris)))
    assert b"\x0a\xc3\x06\x20\x26\x07\x31\x22\x30\x01" in octets


@pytest.mark.parametrize(
    ("indication", "reason"),
    [
        (Indication("http://a", "t", SiAction.DELETE), "needs its si_id"),
        (Indication("", "t"), "needs an href or an si_id"),
        (Indication("http://a", "t\0u"), "text holds a control character"),
        (Indication("http://a\0b", "t"), "href holds a control character"),
        (Indication("http://a", "\ud83d"), "half a surrogate pair"),
        (
            Indication("http://a", "t", None, NOON, NOON - timedelta(seconds=1)),
            "expires before it is created",
        ),
        (Indication("http://a", "t", created=datetime(2026, 1, 1)), "without a time zone"),  # noqa: DTZ001
    ],
)
def test_what_no_phone_could_read_is_refused(indication: Indication, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        indication_octets(indication)


def test_a_loading_of_nothing_is_refused() -> None:
    with pytest.raises(Invalid, match="needs an href"):
        loading_octets(Loading(""))


@given(st.binary(max_size=3_000), st.integers(0, 255))
def test_parts_fit_one_sms_each_and_joined_are_the_push(pdu: bytes, reference: int) -> None:
    parts = push_messages(pdu, reference=reference).short_messages
    assert all(len(part) <= 140 for part in parts)
    assert b"".join(part[part[0] + 1 :] for part in parts) == pdu
    for number, part in enumerate(parts, 1):
        element = b"" if len(parts) == 1 else bytes((0, 3, reference, len(parts), number))
        assert part[1 : part[0] + 1] == bytes.fromhex("05040b8423f0") + element
    assert len(parts) == 1 or len(pdu) > 133


def test_parts_hold_128_octets_and_the_256th_is_refused() -> None:
    assert PART_OCTETS == 128
    assert len(push_messages(b"x" * 133).short_messages) == 1
    assert [len(part) for part in push_messages(b"x" * 134).short_messages] == [140, 18]
    assert len(push_messages(b"x" * 128 * 255).short_messages) == 255
    with pytest.raises(TextError, match="256 segments"):
        push_messages(b"x" * (128 * 255 + 1))


def test_many_headers_are_counted_by_more_than_one_octet() -> None:
    pdu = push_pdu(Loading("http://a"), transaction_id=9, headers=b"\xa9" + b"x" * 198)
    assert pdu[:5] == bytes((9, 6, 0x81, 0x48, 0xB0))
