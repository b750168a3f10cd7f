"""What comes back while the connector doctor examines: receipts of its probes, and replies of its phone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from smsgate.flows.records import MobileOriginated
from smsgate.links.deliveries import Unreadable, read_delivery
from smsgate.protocol.commands import CommandId

if TYPE_CHECKING:
    from collections.abc import Callable

    from smsgate.clock import Clock
    from smsgate.links.profile import CarrierProfile
    from smsgate.protocol.pdus import Pdu
    from smsgate.protocol.session_states import Receipts


class ProbeReceipt(NamedTuple):
    """`ids` are those of TLV and text as they came, each once; `form` says how it was known as a receipt."""

    ids: tuple[bytes, ...]
    state: int
    form: str


class DoctorMail:
    """
    Takes receipts that `is_ours` knows by an id, and what the phone `msisdn` writes; leaves the rest.

    A receipt may come before the answer that names its id: it is then left to the carrier, which repeats it.
    """

    def __init__(
        self, profile: CarrierProfile, clock: Clock, msisdn: int, is_ours: Callable[[bytes], bool]
    ) -> None:
        # Whatever could be a receipt is read as one: what marks it is just what is looked for.
        self._profile = profile.model_copy(update={"receipts": "text"})
        self._clock = clock
        self._msisdn = msisdn
        self._is_ours = is_ours
        self.found: list[ProbeReceipt] = []
        self.replies: list[MobileOriginated] = []
        self._news = asyncio.Event()

    def receipts(self, receipts: Receipts) -> list[bool]:
        taken: list[bool] = []
        columns = zip(receipts.message_ids, receipts.other_ids, receipts.states, strict=True)
        for message_id, other_id, state in columns:
            ids = (message_id, other_id) if other_id else (message_id,)
            taken.append(self._take(ProbeReceipt(ids, state, "esm_class")))
        return taken

    def delivered(self, pdu: Pdu) -> bool:
        read = read_delivery(pdu, self._profile, 0, 0, self._clock.now())
        if isinstance(read, Unreadable):
            return False
        if isinstance(read, MobileOriginated):
            if read.msisdn != self._msisdn:
                return False
            self.replies.append(read)
            self._news.set()
            return True
        return self._take(ProbeReceipt((read.message_id,), read.state, _form(pdu)))

    async def wait(self, condition: Callable[[], bool], until: float) -> bool:
        """Wait for news until `condition` holds or the clock reads `until`; return whether it holds."""
        while not condition():
            left = until - self._clock.monotonic()
            if left <= 0:
                return False
            self._news.clear()
            try:
                async with asyncio.timeout(left):
                    await self._news.wait()
            except TimeoutError:
                continue
        return True

    def _take(self, receipt: ProbeReceipt) -> bool:
        ours = any(map(self._is_ours, receipt.ids))
        if ours:
            self.found.append(receipt)
            self._news.set()
        return ours


def _form(pdu: Pdu) -> str:
    """Return how this receipt is marked, in the words of the profile."""
    if pdu.fields["esm_class"] & 0x3C:
        return "data_sm" if pdu.command_id == CommandId.DATA_SM else "esm_class"
    return "tlvs" if pdu.tlvs else "text"
