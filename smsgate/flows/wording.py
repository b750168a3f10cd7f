"""
What a batch says, before it is known in which alphabet: each carrier has its own, so the carrier comes first.

A batch keeps its wording, since another carrier may take over what this one has not written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from smsgate.campaigns.rendering import one_segment, render_cheapest
from smsgate.errors import Invalid, TextError
from smsgate.flows.long_texts import LongText, Parts, long_text, pushed
from smsgate.protocol.encodings import GSM, Alphabet
from smsgate.protocol.segmentation import Concat

Places = Sequence[int] | None  # None: all of them


class Hand(NamedTuple):
    """How a carrier has texts written. Without `long_alphabets` there is no carrier, and nothing is long."""

    alphabets: Sequence[Alphabet]
    long_alphabets: Sequence[Alphabet]
    concat: Concat
    reference: Callable[[int], int]  # the number that tells the parts of the message at this place


class Written(NamedTuple):
    """
    Texts in one coding: `texts[i]` is b"" exactly when `reasons[i]` says why it cannot be sent.

    A long text has a place for each of its parts; `parts` and `segments` are None when there is none.
    """

    places: Places
    texts: list[bytes]
    reasons: list[str | None]
    coding: tuple[int, int] = (GSM.data_coding, GSM.esm_class)
    segments: list[int] | None = None  # what each place counts for
    parts: Parts | None = None


class Wording(Protocol):
    def of(self, places: Sequence[int]) -> Wording:
        """Return the wording of some of the messages."""
        ...

    def written(self, hand: Hand) -> list[Written]:
        """Return every message once, in groups of one coding."""
        ...


@dataclass(frozen=True, slots=True)
class OfferWording:
    """One text for everybody, with columns of what is filled in."""

    text: str
    columns: Mapping[str, Sequence[str]]
    count: int

    def of(self, places: Sequence[int]) -> OfferWording:
        columns = {name: [column[place] for place in places] for name, column in self.columns.items()}
        return OfferWording(self.text, columns, len(places))

    def written(self, hand: Hand) -> list[Written]:
        """A text that cannot be one (no linter saw it) refuses everybody."""
        try:
            made = render_cheapest(self.text, self.columns, self.count, hand.alphabets)
        except (Invalid, TextError) as exc:
            return [Written(None, [b""] * self.count, [exc.code] * self.count)]
        coding = (made.alphabet.data_coding, made.alphabet.esm_class)
        return [Written(None, made.texts, made.reasons, coding)]


@dataclass(frozen=True, slots=True)
class SystemWording:
    """A text of its own for each, or the octets of a WSP push PDU."""

    bodies: Sequence[str | bytes]

    def of(self, places: Sequence[int]) -> SystemWording:
        return SystemWording([self.bodies[place] for place in places])

    def written(self, hand: Hand) -> list[Written]:
        """A text that the carrier cannot take, not in several segments either, is refused with its reason."""
        groups: dict[tuple[int, int], list[tuple[int, LongText]]] = defaultdict(list)
        for place, body in enumerate(self.bodies):
            text = _in_hand(body, place, hand)
            groups[text.coding].append((place, text))
        return [_group(group, coding, len(self.bodies)) for coding, group in groups.items()]


def _in_hand(body: str | bytes, place: int, hand: Hand) -> LongText:
    if isinstance(body, bytes):
        return pushed(body, hand.reference(place))
    segment = one_segment(body, hand.alphabets)
    if segment.reason is None or not hand.long_alphabets:
        coding = (segment.alphabet.data_coding, segment.alphabet.esm_class)
        return LongText(coding, (segment.octets,), reason=segment.reason)
    return long_text(body, hand.long_alphabets, hand.concat, hand.reference(place))


def _group(group: Sequence[tuple[int, LongText]], coding: tuple[int, int], count: int) -> Written:
    if not any(text.tlvs or len(text.short_messages) > 1 for _, text in group):
        return Written(
            None if len(group) == count else [place for place, _ in group],
            [text.short_messages[0] for _, text in group],
            [text.reason for _, text in group],
            coding,
        )
    each = [(place, text, part) for place, text in group for part in range(len(text.short_messages))]
    parts = Parts(
        [place for place, _, _ in each],
        [part + 1 for _, _, part in each],
        [len(text.short_messages) for _, text, _ in each],
        [text.tlvs[part] if text.tlvs else b"" for _, text, part in each],
    )
    return Written(
        [place for place, _, _ in each],
        [text.short_messages[part] for _, text, part in each],
        [text.reason for _, text, _ in each],
        coding,
        [text.segments for _, text, _ in each],
        parts,
    )


@dataclass(frozen=True, slots=True)
class SubmittedWording:
    """What an ESME submitted: octets of its own, whatever the alphabet."""

    count: int

    def of(self, places: Sequence[int]) -> SubmittedWording:
        return SubmittedWording(len(places))

    def written(self, hand: Hand) -> list[Written]:  # noqa: ARG002
        return [Written(None, [b""] * self.count, [None] * self.count)]


NO_WORDS = SubmittedWording(0)
