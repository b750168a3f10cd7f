"""MOs between the link and the desk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from smsgate.campaigns.consent_commands import join_word, may_start
from smsgate.campaigns.replies import Label, Reading, read_reply
from smsgate.campaigns.short_texts import SHORT_MAX, once_if_short
from smsgate.flows.inbound_records import InboundRow, InboundWrites
from smsgate.flows.ports import StopSet, Wakeups
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
    alone: Reading  # what the octets say without language and offer
    repeated: bool = False
    complete: bool = True

    @property
    def stop(self) -> bool:
        return self.alone.label is Label.STOP

    @property
    def of_anybody(self) -> bool:
        """Whether it is answered to who is not known, too, in the name of who writes from the number."""
        if self.alone.label is Label.UNCLEAR:
            return len(self.mo.text) <= SHORT_MAX and bool(join_word(self.mo.text))  # it may be a keyword
        return self.alone.label in {Label.STOP, Label.HELP} or may_start(self.mo.text)


@once_if_short
def reading_of(text: str, language: str = "und", names: tuple[str, ...] = ()) -> Reading:
    return read_reply(text, language, names=names)


def tally(rows: Sequence[InboundRow]) -> dict[str, int]:
    return dict(Counter(row.outcome for row in rows))


def in_force(writes: InboundWrites, stops: StopSet, wakeups: Wakeups, now: float) -> None:
    """Let whoever has offers or texts in hand know what was committed; `now` is monotonic seconds."""
    for change in writes.taken_back:
        stops.add(change.merchant_id, change.msisdn, now, marketing=change.marketing)
    if len(writes.messages) > (0 if writes.claim is None else len(writes.claim.message_ids)):
        wakeups.interactive()
    if len(writes.events):
        wakeups.deliveries()
