"""Requests to a carrier that somebody waits for: query_sm, cancel_sm, replace_sm, submit_multi, data_sm."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from smsgate.errors import CarrierRefused, LinkError, NotBound, Unanswered, WindowFull
from smsgate.protocol.commands import CommandId
from smsgate.protocol.pdus import Address, Pdu, Unsuccess
from smsgate.protocol.tlvs import Tag, Tlvs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from smsgate.links.connection import Connection
    from smsgate.links.profile import CarrierProfile
    from smsgate.protocol.throttle import Throttle

REQUESTS_MAX: Final = 1_000  # that wait for their answer, over all binds: some 500 octets each
LOOK_S: Final = 0.05  # how often a request looks for room when the window is full
DESTINATIONS_MAX: Final = 254  # of one submit_multi; SMPP 3.4 §4.5.1


class QueryAnswer(NamedTuple):
    """What query_sm_resp says; `final_date` is as it came, empty while the state is not final."""

    message_id: bytes
    state: int  # of ReceiptState
    error: int  # network error code
    final_date: bytes


class MultiAnswer(NamedTuple):
    message_id: bytes
    refused: list[tuple[int, int]]  # (MSISDN, command_status) of those that were not taken


class Requests:
    """
    One account's requests. Each ends within the response time-out, or `wait_s` before it found room.

    All methods raise:
        LinkError: not bound, or no room in time; nothing was sent.
        Unanswered: it was sent, and whether the carrier did it is not known.
        CarrierRefused: the carrier's command_status is in `status`.
        BodyError: a value that does not fit its field.
    """

    def __init__(
        self,
        profile: CarrierProfile,
        senders: Callable[[], Sequence[Connection]],
        throttle: Throttle,
        clock: Callable[[], float],
    ) -> None:
        self.written = 0
        self._profile = profile
        self._senders = senders
        self.throttle = throttle
        self._clock = clock
        self._waiting: dict[tuple[int, int], asyncio.Future[Pdu]] = {}  # by (connection, sequence_number)

    def adopt(self, profile: CarrierProfile, throttle: Throttle) -> None:
        """Go on by another profile of the same carrier; what waits for its answer goes on waiting."""
        self._profile, self.throttle = profile, throttle

    def __len__(self) -> int:
        return len(self._waiting)

    async def query(self, message_id: bytes, sender: str) -> QueryAnswer:
        """Ask what became of a message; `sender` must be the one that it was sent from (SMPP 3.4 §4.8)."""
        fields = {"message_id": message_id, **self._source(sender)}
        answer = (await self.ask(CommandId.QUERY_SM, fields)).fields
        return QueryAnswer(
            answer.get("message_id", b"") or message_id,
            answer.get("message_state", 0),
            answer.get("error_code", 0),
            answer.get("final_date", b""),
        )

    async def cancel(self, message_id: bytes, sender: str, msisdn: int | None = None) -> None:
        """Have a message dropped that is still on its way; the number is needed where the id is empty."""
        fields = {"message_id": message_id, **self._source(sender), **self._destination(msisdn)}
        fields["service_type"] = self._profile.service_type.encode("ascii")
        await self.ask(CommandId.CANCEL_SM, fields)

    async def replace(self, message_id: bytes, sender: str, short_message: bytes) -> None:
        """Put another text, encoded as the first one was, in the place of one still on its way."""
        fields = {
            "message_id": message_id,
            **self._source(sender),
            "registered_delivery": self._profile.registered_delivery,
            "short_message": short_message,
        }
        await self.ask(CommandId.REPLACE_SM, fields)

    async def submit_multi(
        self, sender: str, msisdns: Sequence[int], short_message: bytes, data_coding: int = 0
    ) -> MultiAnswer:
        """Send one text to up to DESTINATIONS_MAX numbers; each counts as one segment of the rate."""
        assert 0 < len(msisdns) <= DESTINATIONS_MAX
        ton, npi = self._profile.msisdn_ton_npi
        fields = {
            **self._source(sender),
            "dest_address": tuple(Address(ton, npi, b"%d" % msisdn) for msisdn in msisdns),
            "registered_delivery": self._profile.registered_delivery,
            "data_coding": data_coding,
            "short_message": short_message,
        }
        answer = (await self.ask(CommandId.SUBMIT_MULTI, fields, segments=len(msisdns))).fields
        refused: Sequence[Unsuccess] = answer.get("unsuccess_sme", ())
        return MultiAnswer(answer.get("message_id", b""), [(int(each.addr), each.error) for each in refused])

    async def data(
        self, sender: str, msisdn: int, payload: bytes, data_coding: int = 0, tlvs: Tlvs = ()
    ) -> bytes:
        """Send a data_sm with its text in message_payload; return the message id."""
        fields = {
            **self._source(sender),
            **self._destination(msisdn),
            "registered_delivery": self._profile.registered_delivery,
            "data_coding": data_coding,
        }
        tlvs = ((Tag.MESSAGE_PAYLOAD, payload), *tlvs)
        answer = await self.ask(CommandId.DATA_SM, fields, tlvs)
        return bytes(answer.fields.get("message_id", b""))

    async def ask(
        self, command_id: int, fields: dict[str, Any], tlvs: Tlvs = (), *, segments: int = 1
    ) -> Pdu:
        """Send one request of any kind, and return its response with status 0."""
        if len(self._waiting) >= REQUESTS_MAX:
            raise LinkError(f"{REQUESTS_MAX} requests wait for their answers already")
        key = await self._send(Pdu(command_id, 0, 0, fields, tlvs), segments)
        future: asyncio.Future[Pdu] = asyncio.get_running_loop().create_future()
        self._waiting[key] = future
        self.written += 1
        try:
            answer = await future
        finally:
            self._waiting.pop(key, None)
        if answer.status:
            raise CarrierRefused(answer.status)
        return answer

    async def _send(self, pdu: Pdu, segments: int) -> tuple[int, int]:
        """Wait for a place in a window and in the rate, then write; return the key of the answer."""
        deadline = self._clock() + self._profile.response_timeout_s
        owed = segments
        while True:
            senders = self._senders()
            if not senders:
                raise LinkError(f"{self._profile.name} is not bound")
            owed -= self.throttle.take(owed, self._clock())
            roomy = max(senders, key=lambda sender: sender.room())
            if not owed and roomy.room() > 0:
                try:
                    return roomy.token, roomy.request(pdu)
                except (NotBound, WindowFull):
                    pass
            if self._clock() >= deadline:
                self.throttle.give_back(segments - owed)
                raise LinkError(f"{self._profile.name} had no room for a request in time")
            await asyncio.sleep(LOOK_S)

    # What the links tell

    def answered(self, token: int, pdu: Pdu) -> None:
        future = self._waiting.get((token, pdu.sequence_number))
        if future is not None and not future.done():
            future.set_result(pdu)

    def unanswered(self, token: int, sequence_numbers: Sequence[int]) -> None:
        for number in sequence_numbers:
            future = self._waiting.get((token, number))
            if future is not None and not future.done():
                future.set_exception(Unanswered("the carrier gave no answer"))

    def _source(self, sender: str) -> dict[str, Any]:
        ton, npi, addr = self._profile.source_address(sender)
        return {"source_addr_ton": ton, "source_addr_npi": npi, "source_addr": addr}

    def _destination(self, msisdn: int | None) -> dict[str, Any]:
        if msisdn is None:
            return {}
        ton, npi = self._profile.msisdn_ton_npi
        return {"dest_addr_ton": ton, "dest_addr_npi": npi, "destination_addr": b"%d" % msisdn}
