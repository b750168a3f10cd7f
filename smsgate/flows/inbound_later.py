"""MOs that are refused for now: the carrier is told so after a while, or it brings the next ones at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from smsgate.flows.records import Ack, MobileOriginated

# What is not answered holds its place in the carrier's window. Told at once, a carrier with a hundred
# thousand texts brings each of them in turn, to be refused and brought again, and no order gets a turn of
# the loop. Carriers wait for an answer for 5 s and more, most for 30 to 60.
TOLD_AFTER_S: Final = 1.0


class Later:
    """
    Answers that wait; as many as carriers have windows, which a link bounds for each bind.

    A carrier whose bind ends before it is told brings the MO again all the same.
    """

    def __init__(self, tell: Callable[[Mapping[int, Sequence[Ack]]], None]) -> None:
        self._tell = tell
        self._acks: dict[int, list[Ack]] = {}

    def add(self, mo: MobileOriginated) -> None:
        """Tell the carrier of the MO in TOLD_AFTER_S, or sooner together with one that waits already."""
        if mo.ack is None:
            return
        if not self._acks:
            asyncio.get_running_loop().call_later(TOLD_AFTER_S, self._told)
        self._acks.setdefault(mo.carrier_id, []).append(mo.ack)

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
