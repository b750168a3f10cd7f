"""A merchant's link as WAP Push, from the API to the carrier's socket: the octets that Kannel would send."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smsgate.protocol.gsm0338 import ESM_CLASS_UDHI
from tests.acceptance.esmes import EsmeTown, an_esme_town
from tests.acceptance.town import SENDER, Ground, eventually

VECTORS = Path(__file__).parents[1] / "data" / "protocol-vectors.jsonl"
PORTS = bytes.fromhex("05040b8423f0")
LOADING = {"kind": "sl", "href": "http://x.example", "action": "execute-low"}
INDICATION = {
    "kind": "si",
    "href": "https://www.boxman.example/parcels/4711",
    "text": "Votre colis est arrivé",
    "action": "signal-high",
    "id": "parcel-4711",
    "created_at": "2026-11-26T10:00:00+01:00",
    "expires_at": "2026-12-31T00:00:00Z",
}
INDICATION_OCTETS = b"".join(
    (
        b"\x06\x01\xae",  # push; one octet of headers: SI
        b"\x02\x05\x6a\0\x45\xc6",  # WBXML 1.2, SI 1.0, UTF-8, no strings; <si><indication
        b"\x0f\x03boxman.example/parcels/4711\0",  # href of https://www.
        b"\x11\x03parcel-4711\0",  # si-id
        b"\x0a\xc3\x05\x20\x26\x11\x26\x09",  # created: UTC, without the zero octets at its end
        b"\x10\xc3\x04\x20\x26\x12\x31",  # si-expires
        b"\x08\x01",  # signal-high
        "\3Votre colis est arrivé\0".encode(),
        b"\x01\x01",
    )
)


def captured(vector_id: str) -> bytes:
    """Return the short_message that Kannel's push gateway wrote."""
    vectors = map(json.loads, VECTORS.read_text("utf-8").splitlines())
    vector = next(vector for vector in vectors if vector["id"] == vector_id)
    return bytes.fromhex(vector["fields"]["short_message"])


async def push(company: EsmeTown, wap_push: dict[str, Any], parts: int) -> tuple[Any, Sequence[bytes]]:
    """Have the merchant send it; return the message once every part is delivered, and the parts' octets."""
    town = company.town
    before = len(company.written())
    queued = await town.merchant.post(
        "/v1/messages", {"to": f"+{town.msisdns[0]}", "sender": SENDER, "wap_push": wap_push}
    )
    assert (queued["encoding"], queued["segments"]) == ("octets", parts)

    async def delivered() -> Any:
        message = await town.merchant.get(f"/v1/messages/{queued['id']}")
        return message if message["state"] == "delivered" else None

    message = await eventually(delivered)
    assert (message["segments"], message["price"]) == (parts, queued["price"])
    written = company.written()[before:]
    for pdu in written:
        assert (pdu.fields["data_coding"], pdu.fields["esm_class"]) == (0x04, ESM_CLASS_UDHI)
        assert (pdu.fields["registered_delivery"], pdu.fields["source_addr"]) == (1, SENDER.encode())
    return message, [pdu.fields["short_message"] for pdu in written]


async def test_a_link_reaches_the_carrier_with_the_octets_of_a_push_gateway(ground: Ground) -> None:
    async with an_esme_town(ground) as company:
        message, [first] = await push(company, LOADING, 1)
        assert (message["text"], message["kind"]) == ("http://x.example", "transaction")
        kannels = captured("submit_sm-041")
        assert first[:7] == kannels[:7] == b"\x06" + PORTS
        assert first[8:] == kannels[8:]  # between them the transaction id

        message, [second] = await push(company, INDICATION, 1)
        assert message["text"] == "Votre colis est arrivé https://www.boxman.example/parcels/4711"
        assert second[8:] == INDICATION_OCTETS
        assert second[7] == (first[7] + 1) % 256  # phones drop a transaction id that they have just seen

        long = {**INDICATION, "text": "Votre colis vous attend. " * 8}
        message, parts = await push(company, long, 3)
        assert [len(part) for part in parts[:2]] == [140, 140]
        reference = parts[0][9:10]
        head = b"\x0b" + PORTS + b"\x00\x03" + reference + b"\x03"
        assert [part[:12] for part in parts] == [head + bytes((number,)) for number in (1, 2, 3)]
        whole = b"".join(part[12:] for part in parts)
        assert whole[1:].startswith(INDICATION_OCTETS[:-30])
        assert whole.endswith(long["text"].encode() + b"\0\x01\x01")
        assert await company.ledger() == [("mt", 5, 5, 5 * 45_000)]  # per part, as texts


async def test_who_said_stop_gets_no_link(ground: Ground) -> None:
    async with an_esme_town(ground) as company:
        town = company.town
        await town.answer(town.msisdns[0], "STOP", to=SENDER)
        await eventually(lambda: len(town.texts(town.msisdns[0])) == 1)
        answer = await town.merchant.ask(
            "POST", "/v1/messages", {"to": f"+{town.msisdns[0]}", "sender": SENDER, "wap_push": LOADING}
        )
        assert (answer.status, answer.code) == (409, "stopped")
        assert len(company.written()) == 1
