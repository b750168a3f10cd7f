"""
How fast the codec is, beside others on the same octets: `make bench-codec`.

Two works, through the general PDU objects (the bulk road, `columns`, is faster and not measured here):

* encode: a submit_sm of 70 characters, a new object each, another destination and sequence_number each;
* decode: a receipt deliver_sm of 186 octets, from the octets of a stream to its id, state, error and date.

smpplib and npm smpp do not read the text of a receipt: theirs is the PDU alone. aiosmpplib encodes the text
each time, since it takes no octets. Figures are operations per second of CPU, the best of ROUNDS; the last
line is JSON. Ends with 1 when smsgate is under a bar of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aiosmpplib import protocol as aio
from aiosmpplib.state import NPI, TON, PhoneNumber
from smpplib import command as smpplib_command
from smpplib import smpp as smpplib_smpp

from smsgate.protocol.commands import CommandId
from smsgate.protocol.frames import FrameDecoder
from smsgate.protocol.pdus import Pdu, decode_pdu, encode_pdu
from smsgate.protocol.receipts import parse_receipt

BARS = {"encode": 80_000, "decode": 60_000}  # per CPU second, asked of smsgate
OPERATIONS = 20_000
ROUNDS = 5
RECEIPTS = 200  # different ones, in one read
TEXT = "The latest record of Madonna is on sale at Boxman. Answer OK to buy it"
MSISDN = 33_612_000_000
PEER = Path(__file__).with_name("codec_npm.js")
MODULES = Path(__file__).parents[1] / "tests" / "interop" / "node_modules"

NPM = {"npm smpp 0.5": "smpp05", "npm smpp 0.6": "smpp06"}  # as tests/interop/package.json names them

Work = Callable[[int], None]


def receipt(number: int) -> bytes:
    text = (
        f"id:{number:010} sub:001 dlvrd:001 submit date:2611261200 done date:2611261201 stat:DELIVRD err:000 "
        "text:@$#!%&/"
    )
    fields = {
        "source_addr_ton": 1,
        "source_addr_npi": 1,
        "source_addr": b"%d" % (MSISDN + number),
        "dest_addr_npi": 1,
        "destination_addr": b"36111",
        "esm_class": 4,
        "short_message": text.encode(),
    }
    tlvs = ((0x000E, b"\1"), (0x0006, b"\1"), (0x001E, b"%x\0" % (0xA000_0000 + number)), (0x0427, b"\2"))
    return encode_pdu(Pdu(CommandId.DELIVER_SM, 0, number, fields, tlvs))


STREAM = b"".join(map(receipt, range(1, RECEIPTS + 1)))
FRAMES = [STREAM[at : at + len(receipt(1))] for at in range(0, len(STREAM), len(receipt(1)))]
FIELDS: dict[str, Any] = {
    "source_addr_ton": 5,
    "source_addr": b"Boxman",
    "dest_addr_ton": 1,
    "dest_addr_npi": 1,
    "registered_delivery": 1,
    "short_message": TEXT.encode(),
}


def smsgate_encode(count: int) -> None:
    for number in range(count):
        fields = {**FIELDS, "destination_addr": b"%d" % (MSISDN + number)}
        encode_pdu(Pdu(CommandId.SUBMIT_SM, 0, number, fields))


def smsgate_decode(count: int) -> None:
    decoder = FrameDecoder()
    for _ in range(count // RECEIPTS):
        for frame in decoder.feed(STREAM):
            pdu = decode_pdu(frame)
            assert parse_receipt(pdu.fields["short_message"]) is not None


def smpplib_encode(count: int) -> None:
    text = TEXT.encode()
    for number in range(count):
        pdu = smpplib_smpp.make_pdu(
            "submit_sm",
            client=SimpleNamespace(next_sequence=lambda number=number: number),
            source_addr_ton=5,
            source_addr="Boxman",
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr=str(MSISDN + number),
            registered_delivery=1,
            short_message=text,
        )
        pdu.generate()


def smpplib_decode(count: int) -> None:
    client = SimpleNamespace(next_sequence=lambda: 1)
    for _ in range(count // RECEIPTS):
        for octets in FRAMES:
            assert isinstance(smpplib_smpp.parse_pdu(octets, client=client), smpplib_command.DeliverSM)


def aiosmpplib_encode(count: int) -> None:
    source = PhoneNumber("Boxman", TON.ALPHANUMERIC, NPI.UNKNOWN)
    for number in range(count):
        destination = PhoneNumber(str(MSISDN + number), TON.INTERNATIONAL, NPI.ISDN)
        message = aio.SubmitSm(
            sequence_num=number,
            short_message=TEXT,
            source=source,
            destination=destination,
            encoding="gsm0338",
        )
        message.pdu()


def aiosmpplib_decode(count: int) -> None:
    for _ in range(count // RECEIPTS):
        for octets in FRAMES:
            header = aio.SmppMessage.parse_header(octets)
            message = aio.DeliverSm.from_pdu(octets, header, "gsm0338")
            assert isinstance(message, aio.DeliverSm)
            assert message.parse_receipt()["stat"] == "DELIVRD"


WORKS: dict[str, tuple[Work, Work]] = {
    "smsgate": (smsgate_encode, smsgate_decode),
    "smpplib": (smpplib_encode, smpplib_decode),
    "aiosmpplib": (aiosmpplib_encode, aiosmpplib_decode),
}


def per_cpu_second(work: Work) -> int:
    work(OPERATIONS // 10)
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        work(OPERATIONS)
        best = min(best, time.process_time() - started)
    return round(OPERATIONS / best)


def npm_smpp(package: str) -> dict[str, int] | str:
    """Return the figures of one version of npm smpp, or why there are none."""
    if not (MODULES / package).is_dir():
        return f"{package} of npm is not installed: make interop installs it"
    try:
        done = subprocess.run(
            ["node", str(PEER), package, str(OPERATIONS), str(ROUNDS), TEXT],
            env={"NODE_PATH": str(MODULES), "PATH": "/usr/local/bin:/usr/bin:/bin"},
            input=STREAM.hex(),
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as exc:
        return f"{package} of npm did not run: {exc}"
    found: dict[str, int] = json.loads(done.stdout)
    return found


def main() -> None:
    found: dict[str, dict[str, int]] = {}
    for name, (encode, decode) in WORKS.items():
        found[name] = {"encode": per_cpu_second(encode), "decode": per_cpu_second(decode)}
    for name, package in NPM.items():
        peer = npm_smpp(package)
        if isinstance(peer, str):
            sys.stdout.write(f"{peer}\n")
        else:
            found[name] = peer
    sys.stdout.write(f"{'per CPU second':<16}{'encode submit_sm':>18}{'decode receipt':>18}\n")
    for name, figures in found.items():
        shown = (f"{figures[work]:,} ({found['smsgate'][work] / figures[work]:.1f}x)" for work in BARS)
        sys.stdout.write(f"{name:<16}{''.join(f'{each:>18}' for each in shown)}\n")
    sys.stdout.write(json.dumps({"bars": BARS, "octets": len(FRAMES[0]), **found}) + "\n")
    if any(found["smsgate"][work] < bar for work, bar in BARS.items()):
        sys.exit("smsgate is under a bar")


if __name__ == "__main__":
    main()
