"""MOs that are refused for now: the carrier is told so after a while, or it brings the next ones at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from smsgate.clock import Clock
from smsgate.flows.records import Ack, MobileOriginated

# What is not answered holds its place in the carrier's window. Told at once, a carrier with a hundred
# thousand texts brings each of them in turn, to be refused and brought again, and no order gets a turn of
# the loop. Carriers wait for an answer for 5 s and more, most for 30 to 60.
#
# How full the window is makes no difference. SMPP does not tell how large it is; who brings an MO again at
# once does so with one as with a hundred, hundreds of times a second; and who comes again after a while (most
# do, after seconds to minutes) loses nothing by a second. What waits beside it, receipts above all, has the
# other places; where there is one place alone, it comes a second later.
TOLD_AFTER_S: Final = 1.0
_TOLD_AFTER: Final = timedelta(seconds=TOLD_AFTER_S)


class Later:
    """
    Answers that wait; as many as carriers have windows, which a link bounds for each bind.

    A carrier whose bind ends before it is told brings the MO again all the same.
    """

    def __init__(self, tell: Callable[[Mapping[int, Sequence[Ack]]], None], clock: Clock) -> None:
        self._tell = tell
        self._clock = clock
        self._acks: dict[int, list[Ack]] = {}

    def add(self, mos: Sequence[MobileOriginated]) -> None:
        """
        Tell the carriers of the MOs in TOLD_AFTER_S, or sooner together with what waits already.

        Whoever waited so long for a commit that failed is told at once.
        """
        came_before = self._clock.now() - _TOLD_AFTER
        self._tell(acks_of(mo for mo in mos if mo.received_at <= came_before))
        for carrier_id, acks in acks_of(mo for mo in mos if mo.received_at > came_before).items():
            if not self._acks:
                asyncio.get_running_loop().call_later(TOLD_AFTER_S, self._told)
            self._acks.setdefault(carrier_id, []).extend(acks)

    def _told(self) -> None:
        acks, self._acks = self._acks, {}
        self._tell(acks)


def acks_of(mos: Iterable[MobileOriginated]) -> dict[int, list[Ack]]:
    """Return what answers these, by carrier."""
    acks: dict[int, list[Ack]] = {}
    for mo in mos:
        if mo.ack is not None:
            acks.setdefault(mo.carrier_id, []).append(mo.ack)
    return acks
