"""
From an ESME that is not ours through the gateway to an SMSC that is not ours, and back.

What the ESME writes arrives with the same octets; tshark judges what the gateway sent on both sides.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.interop.interop_esme import (
    GSM,
    OFFER,
    PHONE,
    RECEIPT,
    RUSSIAN,
    SENDER,
    UCS2,
    UDHI,
    bind,
    check_receipt,
    submit_both,
    submit_part,
    unbind,
)
from tests.interop.interop_esme_gateway import an_esme_server
from tests.interop.interop_peers import SMSCS, an_esme_of, an_smsc_of
from tests.interop.interop_processes import LIMIT_S

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(LIMIT_S),
    pytest.mark.parametrize("peer", SMSCS),
]


def what_came(submitted: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(submitted[name] for name in ("text", "udh", "data_coding", "esm_class"))


def test_texts_parts_receipts_and_answers_pass_in_both_directions(reachable_dir: Path, peer: str) -> None:
    with (
        an_smsc_of(peer) as smsc,
        an_esme_server(reachable_dir, smsc, bind="tx+rx") as server,
        an_esme_of("npm-smpp-0.5", server.port) as esme,
    ):
        bind(esme, server)
        submit_both(esme)
        submit_part(esme, 1, 2, "Boxman: ")
        submit_part(esme, 2, 2, "CD Madonna")
        answers = esme.wait_for("submit_sm_resp", 4, status=0)
        receipts = {
            row["receipted_message_id"]: row for row in esme.wait_for("deliver_sm", 4, esm_class=RECEIPT)
        }
        for answer in answers:
            check_receipt(receipts[answer["message_id"]], answer["message_id"])
        assert sorted(map(what_came, smsc.wait_for("submit", 4, status=0))) == sorted(
            (
                (OFFER, "", GSM, 0),
                (RUSSIAN, "", UCS2, 0),
                ("Boxman: ", "0500037a0201", GSM, UDHI),
                ("CD Madonna", "0500037a0202", GSM, UDHI),
            )
        )
        assert {tuple(seen["destination"]) for seen in smsc.seen("submit")} == {(1, 1, PHONE)}
        for number, text in ((2, b"Madonna"), (1, b"OK ")):
            octets = bytes((5, 0, 3, 0x11, 2, number)) + text
            smsc.tell("mo", to=SENDER, octets=octets.hex(), esm_class=UDHI, **{"from": PHONE})
        parts = esme.wait_for("deliver_sm", 2, esm_class=UDHI)
        assert sorted(part["text"] for part in parts) == ["Madonna", "OK "]
        assert {(part["source"], part["destination"]) for part in parts} == {(PHONE, SENDER)}
        unbind(esme)
