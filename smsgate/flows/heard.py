"""MOs between the link and the desk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from smsgate.campaigns.replies import Label, Reading
from smsgate.flows.inbound_records import InboundRow
from smsgate.flows.records import MobileOriginated


class Heard(NamedTuple):
    """An MO and what its octets say alone; language and offer may change that, but make no STOP another."""

    mo: MobileOriginated
    reading: Reading

    @property
    def key(self) -> tuple[str, int]:
        """The sender number and the person, as a STOP holds them."""
        return self.mo.destination, self.mo.msisdn

    @property
    def stop(self) -> bool:
        return bool(self.mo.msisdn) and self.reading.label is Label.STOP

    @property
    def whole(self) -> bool:
        return self.mo.total == 1


class Said(NamedTuple):
    """What goes to the desk."""

    mo: MobileOriginated
    reading: Reading | None = None  # None: to be read
    repeated: bool = False
    complete: bool = True


def tally(rows: Sequence[InboundRow]) -> dict[str, int]:
    return dict(Counter(row.outcome for row in rows))
