"""What an ESME does at whoever answers it: the simulated SMSC, or the gateway that lets companies bind."""

from __future__ import annotations

from typing import Any, Protocol

from tests.interop.interop_processes import Child

PHONE = "33639980001"
SENDER = "36111"
OFFER = "Boxman: CD Madonna 19,90€. Répondez OK = commande"  # GSM 03.38, with one escape pair
RUSSIAN = "Ваш заказ принят"
GSM = 0
UCS2 = 8
UDHI = 0x40  # of esm_class
RECEIPT = 4  # of esm_class
DELIVERED = 2  # message_state
WRONG_PASSWORD = 0x0E
NOT_FOR_THIS_BIND = 0x04
ADDRESSES = {
    "service_type": "",
    "source_addr_ton": 3,
    "source_addr_npi": 1,
    "source_addr": SENDER,
    "dest_addr_ton": 1,
    "dest_addr_npi": 1,
    "destination_addr": PHONE,
}


class Door(Protocol):
    """Where an ESME binds."""

    port: int
    name: str  # how it calls itself in bind answers
    system_id: str
    password: str


class Server(Door, Protocol):
    """A door with phones behind it."""

    def inbox(self, msisdn: str) -> list[dict[str, Any]]: ...

    def reply(self, msisdn: str, text: str) -> str: ...


def bind(esme: Child, server: Door, mode: str = "transceiver") -> None:
    esme.tell(f"bind_{mode}", system_id=server.system_id, password=server.password)
    (answer,) = esme.wait_for(f"bind_{mode}_resp")
    assert (answer["status"], answer["system_id"]) == (0, server.name)


def submit(esme: Child, **fields: object) -> None:
    # Said nothing about, data_coding becomes 1 with octets of GSM 03.38: a habit of npm's smpp.
    more = {"esm_class": 0, "data_coding": GSM, "registered_delivery": 1, **fields}
    esme.tell("submit_sm", **ADDRESSES, **more)


def submit_both(esme: Child) -> None:
    """Submit a text of each alphabet."""
    submit(esme, short_message=OFFER)
    submit(esme, short_message=RUSSIAN, data_coding=UCS2)


def submit_part(esme: Child, number: int, total: int, text: str) -> None:
    octets = bytes((5, 0, 3, 0x7A, total, number)) + text.encode("ascii")
    submit(esme, octets=octets.hex(), esm_class=UDHI)


def unbind(esme: Child) -> None:
    esme.tell("unbind")
    esme.wait_for("unbind_resp", status=0)
    esme.wait_for("closed")
    assert not esme.seen("error")


def check_receipt(receipt: dict[str, Any], message_id: str) -> None:
    assert (receipt["esm_class"], receipt["source"], receipt["destination"]) == (RECEIPT, PHONE, SENDER)
    assert receipt["text"].startswith(f"id:{message_id} sub:001 dlvrd:001 ")
    assert " stat:DELIVRD err:000 " in receipt["text"]
    assert (receipt["receipted_message_id"], receipt["message_state"]) == (message_id, DELIVERED)
