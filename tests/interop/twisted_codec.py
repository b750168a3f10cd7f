"""What both roles on smpp.twisted3 share: lines of JSON, and numbers instead of smpp.pdu3's names."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from aiosmpplib.codec import find_codec_info
from smpp.pdu.pdu_encoding import (
    AddrNpiEncoder,
    AddrTonEncoder,
    CommandStatusEncoder,
    DataCodingEncoder,
    EsmClassEncoder,
    RegisteredDeliveryEncoder,
)
from twisted.internet import reactor
from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineReceiver

UDHI = 0x40  # bit of esm_class
ENCODERS = {
    "esm_class": EsmClassEncoder(),
    "data_coding": DataCodingEncoder(),
    "registered_delivery": RegisteredDeliveryEncoder(),
    "source_addr_ton": AddrTonEncoder(),
    "source_addr_npi": AddrNpiEncoder(),
    "dest_addr_ton": AddrTonEncoder(),
    "dest_addr_npi": AddrNpiEncoder(),
}
CODECS = {0: "gsm0338", 3: "latin-1", 8: "utf-16-be"}  # by data_coding


def tell(event: str, **facts: object) -> None:
    sys.stdout.write(json.dumps({"event": event, **facts}) + "\n")
    sys.stdout.flush()


def number(pdu: Any, field: str) -> int:
    return int(ENCODERS[field].encode(pdu.params[field])[0])


def status_of(failure_or_pdu: Any) -> int:
    return int.from_bytes(CommandStatusEncoder().encode(failure_or_pdu.status), "big")


def fields(order: dict[str, Any]) -> dict[str, Any]:
    """Return smpp.pdu3's values for the fields of an order."""
    made = {
        name: ENCODERS[name]._decode(bytes([value])) if name in ENCODERS else value
        for name, value in order.items()
        if name not in {"do", "short_message", "octets", "payload"}
    }
    if "short_message" in order:
        codec = find_codec_info(CODECS[order.get("data_coding", 0)])
        made["short_message"], _ = codec.encode(order["short_message"], "strict")
    if "octets" in order:
        made["short_message"] = bytes.fromhex(order["octets"])
    if "payload" in order:
        made["message_payload"] = bytes.fromhex(order["payload"])
    return made


def message(pdu: Any) -> dict[str, Any]:
    """Return text and user data header of a submit_sm or deliver_sm."""
    octets = pdu.params["short_message"] or pdu.params.get("message_payload") or b""
    header = octets[: octets[0] + 1] if octets and number(pdu, "esm_class") & UDHI else b""
    codec = CODECS.get(number(pdu, "data_coding"))
    text = octets[len(header) :]
    shown = find_codec_info(codec).decode(text, "strict")[0] if codec else text.hex()
    return {"text": shown, "udh": header.hex()}


class Orders(LineReceiver):  # type: ignore[misc]
    """One JSON object a line of standard input; the process ends with it."""

    delimiter = b"\n"
    MAX_LENGTH = 1 << 20

    def __init__(self, obey: Callable[[dict[str, Any]], None]) -> None:
        self._obey = obey

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        self._obey(json.loads(line))

    def connectionLost(self, reason: object = None) -> None:  # noqa: N802
        os._exit(0)


def obey(orders: Callable[[dict[str, Any]], None]) -> None:
    StandardIO(Orders(orders))
    os.set_blocking(sys.stdout.fileno(), True)  # `tell` waits for a full pipe; Twisted would have it fail
    reactor.run()
