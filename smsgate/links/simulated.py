"""
The carrier of simulated phones: it takes everything at once and says of each message that it was delivered.

Nothing is written to any socket. What a phone got is read in the message rows, as of any other message.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Final

from smsgate.errors import BodyError
from smsgate.flows.records import Ack, CarrierReceipts
from smsgate.flows.test_mode import SIMULATED_CARRIER
from smsgate.msisdn import is_simulated
from smsgate.protocol.commands import Status
from smsgate.protocol.encodings import GSM, UCS2
from smsgate.protocol.message_ids import IdForm, ReceiptIds
from smsgate.protocol.receipt_states import ReceiptState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from smsgate.flows.ports import CarrierEvents
    from smsgate.flows.records import BindStatus, Lane
    from smsgate.protocol.encodings import Alphabet
    from smsgate.protocol.segmentation import Concat

ROOM: Final = 100  # messages taken at once: a developer's phones, and no more of the pump's time than that


def _refuse_real(msisdns: Sequence[int]) -> None:
    """Deliver nothing that a person was to get."""
    if not all(map(is_simulated, msisdns)):
        raise BodyError("this is no simulated phone", Status.INVDSTADR)


class SimulatedCarrier:
    """Implements `flows.ports.Carrier`."""

    name = SIMULATED_CARRIER
    rate_per_s = 0  # what is promised ahead of commits is fitted to real carriers
    cost_list: str | None = None
    alphabets: tuple[Alphabet, ...] = (GSM, UCS2)
    long_alphabets: tuple[Alphabet, ...] = (GSM, UCS2)
    concat: Concat = "udh8"
    retry_statuses: frozenset[int] = frozenset()
    unreachable_statuses: frozenset[int] = frozenset()
    unreachable_wait_s = 0.0
    reroute_statuses: frozenset[int] = frozenset()
    opted_out_statuses: frozenset[int] = frozenset()
    opted_out_errors: frozenset[bytes] = frozenset()

    def __init__(self, carrier_id: int, *, owner: int) -> None:
        """`owner` tells the ids of this process's messages from those of others."""
        self.carrier_id = carrier_id
        self.receipt_ids = ReceiptIds((IdForm.AS_IS,))
        self._owner = owner
        self._numbers = count(1)
        self._waiting: list[int] = []  # slots whose answer comes in the next turn of the loop
        self._events: CarrierEvents | None = None
        self._stopped = False

    def start(self, events: CarrierEvents) -> None:
        self._events = events

    def room(self, lane: Lane) -> int:  # noqa: ARG002  # there is one queue for both
        return 0 if self._stopped else ROOM - len(self._waiting)

    def room_at(self, lane: Lane) -> float | None:  # noqa: ARG002
        return None  # answers tell of room

    def bodies(
        self,
        sender: str,  # noqa: ARG002
        msisdns: Sequence[int],
        texts: Sequence[bytes],
        data_coding: int,  # noqa: ARG002
        esm_class: int = 0,  # noqa: ARG002
        tlvs: bytes = b"",  # noqa: ARG002
    ) -> list[bytes]:
        _refuse_real(msisdns)
        return list(texts)

    def submitted_bodies(
        self,
        sender: str,  # noqa: ARG002
        msisdns: Sequence[int],
        bodies: Sequence[bytes],
        expires_at: datetime,  # noqa: ARG002
    ) -> list[bytes]:
        _refuse_real(msisdns)
        return list(bodies)

    def submit(
        self,
        bodies: Sequence[bytes],
        slots: Sequence[int],
        lane: Lane,
        segments: Sequence[int] = (),  # noqa: ARG002
    ) -> int:
        taken = min(len(bodies), self.room(lane))
        if taken and not self._waiting:
            asyncio.get_running_loop().call_soon(self._answer)
        self._waiting += slots[:taken]
        return taken

    def _answer(self) -> None:
        """Answer as a carrier does, and have the phones' receipts follow."""
        assert self._events is not None
        slots, self._waiting = self._waiting, []
        smsc_ids = [b"%x-%x" % (self._owner, next(self._numbers)) for _ in slots]
        self._events.answered(slots, [0] * len(slots), smsc_ids)
        self._events.receipts(
            CarrierReceipts(
                self.carrier_id,
                smsc_ids,
                [b""] * len(slots),
                [ReceiptState.DELIVRD] * len(slots),
                [b"000"] * len(slots),
                Ack(self.carrier_id, 0, []),
                of_responses=True,
            )
        )
        self._events.room_changed(self.carrier_id)

    def acknowledge(self, acks: Sequence[Ack], status: int = 0) -> None:
        """Nobody waits for it."""

    def stop_submitting(self) -> None:
        self._stopped = True

    def down_since(self) -> float | None:
        return None

    def in_flight(self) -> int:
        return len(self._waiting)

    def binds(self) -> Sequence[BindStatus]:
        return ()
