"""
An ESME made of smpp.twisted3 (Jasmin's engine); what it is told and what it tells: interop_peers.py.

    twisted_esme.py PORT
"""

from __future__ import annotations

import sys
from typing import Any

from smpp.pdu import operations
from smpp.pdu.pdu_encoding import MessageStateEncoder
from smpp.twisted.config import SMPPClientConfig
from smpp.twisted.protocol import SMPPClientProtocol
from twisted.internet import reactor
from twisted.internet.protocol import ClientFactory
from twisted_codec import fields, message, number, obey, status_of, tell

REQUESTS = {
    "submit_sm": operations.SubmitSM,
    "data_sm": operations.DataSM,
    "query_sm": operations.QuerySM,
    "cancel_sm": operations.CancelSM,
    "enquire_link": operations.EnquireLink,
}


class Session(SMPPClientProtocol):  # type: ignore[misc]
    def connectionMade(self) -> None:  # noqa: N802
        super().connectionMade()
        self.setDataRequestHandler(delivered)
        tell("connected")

    def onPDURequest_unbind(self, reqPDU: Any) -> None:  # noqa: N802, N803
        tell("unbind")
        super().onPDURequest_unbind(reqPDU)

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        super().connectionLost(reason)
        tell("closed")

    def PDUResponseReceived(self, pdu: Any) -> None:  # noqa: N802
        answered(pdu)
        super().PDUResponseReceived(pdu)


def answered(pdu: Any) -> None:
    facts = {
        name: pdu.params[name].decode()
        for name in ("message_id", "system_id")
        if pdu.params.get(name) is not None
    }
    if pdu.params.get("message_state") is not None:
        facts["message_state"] = MessageStateEncoder().encode(pdu.params["message_state"])[0]
    tell(pdu.id.name, status=status_of(pdu), number=pdu.seqNum, **facts)


def delivered(session: Any, pdu: Any) -> None:
    state, message_id = pdu.params.get("message_state"), pdu.params.get("receipted_message_id")
    tell(
        "deliver_sm",
        source=pdu.params["source_addr"].decode(),
        destination=pdu.params["destination_addr"].decode(),
        esm_class=number(pdu, "esm_class"),
        data_coding=number(pdu, "data_coding"),
        receipted_message_id=message_id and message_id.decode(),
        message_state=state and MessageStateEncoder().encode(state)[0],
        **message(pdu),
    )


class Esme(ClientFactory):  # type: ignore[misc]
    protocol = Session
    session: Any = None
    config: Any = None

    def getConfig(self) -> Any:  # noqa: N802
        return self.config

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802
        self.session = super().buildProtocol(addr)
        return self.session

    def obey(self, order: dict[str, Any]) -> None:
        match order["do"].split("_"):
            case ["bind", mode]:
                self.config = a_config(order["system_id"], order["password"])
                binds = {
                    "transceiver": lambda: self.session.bindAsTransceiver(delivered),
                    "receiver": lambda: self.session.bindAsReceiver(delivered),
                    "transmitter": self.session.bindAsTransmitter,
                }
                done = binds[mode]()
            case ["unbind"]:
                done = self.session.unbindAndDisconnect()
            case _:
                pdu = REQUESTS[order["do"]](**fields(order))
                done = self.session.sendRequest(pdu, self.config.responseTimerSecs)
        done.addErrback(lambda failure: None)  # `answered` has told the status


def a_config(system_id: str, password: str) -> SMPPClientConfig:
    return SMPPClientConfig(host="127.0.0.1", port=int(sys.argv[1]), username=system_id, password=password)


esme = Esme()
esme.config = a_config("", "")
reactor.connectTCP("127.0.0.1", int(sys.argv[1]), esme)
obey(esme.obey)
