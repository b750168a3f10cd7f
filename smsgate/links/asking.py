"""
Asking what became of a system message whose receipt does not come: query_sm, where the carrier allows it.

Only messages of the interactive lane, and only those that the carrier accepted: query_sm names a message by
the carrier's id (SMPP 3.4 §4.8), which a submit without an answer does not have. What is known here ends with
the process; receipts that come later are matched in the database as ever.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import structlog

from smsgate.errors import BodyError, CarrierRefused, LinkError, Unanswered
from smsgate.protocol.commands import CommandId
from smsgate.protocol.message_ids import fold
from smsgate.protocol.receipt_states import FINAL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from smsgate.links.requests import Requests
    from smsgate.protocol.message_ids import ReceiptIds

AWAITED_MAX: Final = 2_000  # messages that wait for a receipt; the oldest go, some 300 octets each
TRIES_MAX: Final = 3  # of one message, each twice as long after the one before
ASKED_PER_ROUND_MAX: Final = 5  # and so a second: a carrier's rate is for messages
ROUND_S: Final = 1.0

log = structlog.get_logger(__name__)

Source = tuple[int, int, bytes]  # TON, NPI and address of the sender


class Asking:
    """
    One account's messages without a receipt; `tell` takes an answer as (message id, state, error).

    Implements `protocol.message_ids.Known`: what is found is the id as its response had it.
    """

    def __init__(
        self,
        requests: Requests,
        clock: Callable[[], float],
        *,
        after_s: float,
        tell: Callable[[bytes, int, bytes], None],
    ) -> None:
        self.asked = 0
        self.told = 0
        self._requests = requests
        self._clock = clock
        self._after_s = after_s
        self._tell = tell
        self._sent: dict[int, Source] = {}  # slot -> whom it is from, until the carrier answers
        self._awaited: dict[bytes, tuple[Source, float, int]] = {}  # id -> source, when to ask, tries so far
        self._spellings: dict[bytes, tuple[bytes, ...]] = {}  # folded id -> the awaited ids that fold to it

    def __len__(self) -> int:
        return len(self._awaited)

    def sent(self, bodies: Sequence[bytes], slots: Sequence[int]) -> None:
        for body, slot in zip(bodies, slots, strict=True):
            self._sent[slot] = source_of(body)

    def answered(self, slots: Sequence[int], statuses: Sequence[int], message_ids: Sequence[bytes]) -> None:
        if not self._sent:
            return
        for slot, status, message_id in zip(slots, statuses, message_ids, strict=True):
            source = self._sent.pop(slot, None)
            if source is not None and status == 0 and message_id:
                self._forget(message_id)  # the carrier begins its numbers anew
                self._awaited[message_id] = source, self._clock() + self._after_s, 0
                key = fold(message_id)
                self._spellings[key] = (*self._spellings.get(key, ()), message_id)
        while len(self._awaited) > AWAITED_MAX:
            self._forget(next(iter(self._awaited)))

    def in_doubt(self, slots: Sequence[int]) -> None:
        for slot in slots if self._sent else ():
            self._sent.pop(slot, None)

    def receipts(
        self,
        ids: ReceiptIds,
        message_ids: Sequence[bytes],
        other_ids: Sequence[bytes],
        states: Sequence[int],
    ) -> None:
        """Wait no longer for the messages of final receipts, which `ids` may spell in another way."""
        if not self._awaited:
            return
        for message_id, other_id, state in zip(message_ids, other_ids, states, strict=True):
            if state in FINAL and (fit := ids.fit(message_id, other_id, self)) is not None:
                self._forget(fit.found)

    def exact(self, message_id: bytes) -> bytes | None:
        return message_id if message_id in self._awaited else None

    def folded(self, message_id: bytes) -> bytes | None:
        found = self._spellings.get(message_id, ())
        return found[0] if len(found) == 1 else None

    def _forget(self, message_id: bytes) -> None:
        if self._awaited.pop(message_id, None) is None:
            return
        key = fold(message_id)
        left = tuple(each for each in self._spellings.pop(key) if each != message_id)
        if left:
            self._spellings[key] = left

    async def run(self) -> None:
        """Ask until cancelled; nobody waits for the end, so an error says itself that it is one."""
        try:
            while True:
                await asyncio.sleep(ROUND_S)
                await self.round()
        except Exception:
            log.exception("queries_ended")
            raise

    async def round(self) -> None:
        now = self._clock()
        due = [message_id for message_id, (_, at, _) in self._awaited.items() if at <= now]
        for message_id in due[:ASKED_PER_ROUND_MAX]:
            if message_id not in self._awaited:
                continue  # its receipt came while another one was asked about
            try:
                await self._ask(message_id)
            except Unanswered:
                self._later(message_id)  # nothing may ever come for this one, and others wait for their turn
            except (CarrierRefused, BodyError) as error:
                self._forget(message_id)
                log.info("query_refused", status=error.status)
            except LinkError:
                return  # asked again when the carrier can be

    async def _ask(self, message_id: bytes) -> None:
        (ton, npi, addr), _, _ = self._awaited[message_id]
        fields: dict[str, Any] = {
            "message_id": message_id,
            "source_addr_ton": ton,
            "source_addr_npi": npi,
            "source_addr": addr,
        }
        answer = (await self._requests.ask(CommandId.QUERY_SM, fields)).fields
        self.asked += 1
        state = answer.get("message_state", 0)
        if message_id not in self._awaited:
            return  # its receipt came meanwhile
        if state in FINAL:
            self._forget(message_id)
            self.told += 1
            self._tell(message_id, state, b"%03d" % answer.get("error_code", 0))
        else:
            self._later(message_id)

    def _later(self, message_id: bytes) -> None:
        """Ask again after twice as long, unless it was asked often enough, or has its receipt."""
        if message_id not in self._awaited:
            return
        source, _, tries = self._awaited[message_id]
        if tries + 1 >= TRIES_MAX:
            self._forget(message_id)
        else:
            at = self._clock() + self._after_s * 2 ** (tries + 1)
            self._awaited[message_id] = source, at, tries + 1


def source_of(body: bytes) -> Source:
    """Return the sender in a submit_sm body: it stands after the service_type."""
    start = body.index(0) + 1
    end = body.index(0, start + 2)
    return body[start], body[start + 1], body[start + 2 : end]
