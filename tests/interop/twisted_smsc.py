"""
An SMSC made of smpp.twisted3 (Jasmin's engine), for one account; what it is told and tells: interop_peers.py.

    twisted_smsc.py SYSTEM_ID PASSWORD
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from itertools import count
from typing import Any

from smpp.pdu.operations import DeliverSM, EnquireLink
from smpp.pdu.pdu_types import CommandId, CommandStatus, MessageState
from smpp.twisted.config import SMPPServerConfig
from smpp.twisted.protocol import DataHandlerResponse, SMPPServerProtocol
from smpp.twisted.server import SMPPServerFactory
from twisted.cred.error import UnauthorizedLogin
from twisted.internet import reactor
from twisted_codec import fields, message, number, obey, status_of, tell

SYSTEM_ID, PASSWORD = sys.argv[1:]
RECEIVERS = (CommandId.bind_transceiver, CommandId.bind_receiver)
RECEIPT = 4  # esm_class
BINDS_MAX = 10

sessions: list[Any] = []  # bound ones
waiting: list[dict[str, Any]] = []  # deliver_sm that no receiver has taken yet


class Faults:
    throttle_next = 0  # so many submit_sm are refused


session_numbers = count(1)
message_numbers = count(7_000_000_000_000_000_001)


class Session(SMPPServerProtocol):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.number = next(session_numbers)
        self.unanswered: list[dict[str, Any]] = []

    def sendPDU(self, pdu: Any) -> None:  # noqa: N802
        super().sendPDU(pdu)
        if pdu.id.name.startswith("bind_"):
            mode = pdu.id.name.removesuffix("_resp")
            tell("bind", session=self.number, mode=mode, system_id=SYSTEM_ID, status=status_of(pdu))
            if pdu.status == CommandStatus.ESME_ROK:
                sessions.append(self)
                queued, waiting[:] = waiting[:], []
                for entry in queued:
                    deliver(entry)
            else:
                reactor.callLater(0, self.disconnect)

    def onPDURequest_enquire_link(self, reqPDU: Any) -> None:  # noqa: N802, N803
        tell("enquire_link", session=self.number)
        super().onPDURequest_enquire_link(reqPDU)

    def onPDURequest_unbind(self, reqPDU: Any) -> None:  # noqa: N802, N803
        tell("unbind", session=self.number, mode=self.bind_type.name)
        super().onPDURequest_unbind(reqPDU)

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        super().connectionLost(reason)
        if self in sessions:
            sessions.remove(self)
        waiting.extend(self.unanswered)  # the next receiver gets them again
        tell("closed", session=self.number)


def deliver(entry: dict[str, Any]) -> None:
    reader = next((session for session in sessions if session.bind_type in RECEIVERS), None)
    if reader is None:
        waiting.append(entry)
        return
    reader.unanswered.append(entry)

    def answered(status: int) -> None:
        reader.unanswered.remove(entry)
        tell("deliver_answered", what=entry["what"], id=entry["id"], status=status)

    reader.sendDataRequest(DeliverSM(**fields(entry["fields"]))).addCallbacks(
        lambda result: answered(status_of(result.response)),
        lambda failure: (
            answered(status_of(failure.value.response)) if hasattr(failure.value, "response") else None
        ),
    )


def submitted(system_id: str, session: Any, pdu: Any) -> object:
    refused = Faults.throttle_next > 0
    Faults.throttle_next -= refused
    message_id = None if refused else str(next(message_numbers))
    tell(
        "submit",
        session=session.number,
        id=message_id,
        status=0x58 if refused else 0,
        source=[
            number(pdu, "source_addr_ton"),
            number(pdu, "source_addr_npi"),
            pdu.params["source_addr"].decode(),
        ],
        destination=[
            number(pdu, "dest_addr_ton"),
            number(pdu, "dest_addr_npi"),
            pdu.params["destination_addr"].decode(),
        ],
        data_coding=number(pdu, "data_coding"),
        esm_class=number(pdu, "esm_class"),
        registered_delivery=number(pdu, "registered_delivery"),
        **message(pdu),
    )
    if refused:
        return CommandStatus.ESME_RTHROTTLED
    if number(pdu, "registered_delivery") & 1:
        reactor.callLater(0, deliver, receipt(pdu, str(message_id)))
    return DataHandlerResponse(CommandStatus.ESME_ROK, message_id=message_id)


def receipt(pdu: Any, message_id: str) -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%y%m%d%H%M")
    text = (
        f"id:{message_id} sub:001 dlvrd:001 submit date:{now} done date:{now} stat:DELIVRD err:000 text:"
        f"{message(pdu)['text'][:20].encode('ascii', 'replace').decode()}"
    )
    return {
        "what": "receipt",
        "id": message_id,
        "fields": {
            "esm_class": RECEIPT,
            "source_addr_ton": number(pdu, "dest_addr_ton"),
            "source_addr_npi": number(pdu, "dest_addr_npi"),
            "source_addr": pdu.params["destination_addr"],
            "dest_addr_ton": number(pdu, "source_addr_ton"),
            "dest_addr_npi": number(pdu, "source_addr_npi"),
            "destination_addr": pdu.params["source_addr"],
            "data_coding": 0,
            "short_message": text,
            "receipted_message_id": message_id,
            "message_state": MessageState.DELIVERED,
        },
    }


def orders(order: dict[str, Any]) -> None:
    match order["do"]:
        case "mo":
            text = {name: order[name] for name in ("octets",) if name in order}
            if "text" in order:
                text["short_message"] = order["text"]
            addresses = {
                "source_addr_ton": 1,
                "source_addr_npi": 1,
                "source_addr": order["from"],
                "dest_addr_ton": 3,
                "dest_addr_npi": 0,
                "destination_addr": order["to"],
            }
            coding = {name: order.get(name, 0) for name in ("data_coding", "esm_class")}
            name = order.get("text", order.get("octets"))
            deliver({"what": "mo", "id": name, "fields": {**addresses, **coding, **text}})
        case "throttle":
            Faults.throttle_next = order["count"]
        case "enquire_link":
            for session in sessions.copy():
                asked = session.sendRequest(EnquireLink(), session.config().responseTimerSecs)
                asked.addCallback(answered("enquire_link_resp", session))
        case "unbind":
            for session in sessions.copy():
                session.unbind().addCallback(answered("unbind_resp", session)).addBoth(ended(session))
        case "cut":
            for session in sessions.copy():
                session.transport.abortConnection()


def answered(event: str, session: Any) -> Any:
    return lambda result: tell(event, session=session.number, status=status_of(result.response))


def ended(session: Any) -> Any:
    return lambda _result: session.disconnect()


class Door:
    """What smpp.twisted3 asks for a portal of twisted.cred."""

    def login(self, credentials: Any, mind: Any, interface: Any) -> Any:
        if (credentials.username, credentials.password) != (SYSTEM_ID, PASSWORD):
            raise UnauthorizedLogin
        return interface, SYSTEM_ID, None


config = SMPPServerConfig(msgHandler=submitted, systems={SYSTEM_ID: {"max_bindings": BINDS_MAX}})
factory = SMPPServerFactory(config, auth_portal=Door())
factory.protocol = Session
tell("listening", port=reactor.listenTCP(0, factory, interface="127.0.0.1").getHost().port)
obey(orders)
