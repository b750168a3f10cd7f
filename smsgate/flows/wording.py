"""
What a batch says, before it is known in which alphabet: each carrier has its own, so the carrier comes first.

A batch keeps its wording, since another carrier may take over what this one has not written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from smsgate.campaigns.rendering import Segment, one_segment, render_cheapest
from smsgate.errors import Invalid, TextError
from smsgate.protocol.encodings import GSM, Alphabet

Places = Sequence[int] | None  # None: all of them


class Written(NamedTuple):
    """Texts in one alphabet: `texts[i]` is b"" exactly when `reasons[i]` says why it cannot be sent."""

    places: Places
    texts: list[bytes]
    reasons: list[str | None]
    coding: tuple[int, int] = (GSM.data_coding, GSM.esm_class)


class Wording(Protocol):
    def of(self, places: Sequence[int]) -> Wording:
        """Return the wording of some of the messages."""
        ...

    def written(self, alphabets: Sequence[Alphabet]) -> list[Written]:
        """Return every message once, in groups of one alphabet of these."""
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

    def written(self, alphabets: Sequence[Alphabet]) -> list[Written]:
        """A text that cannot be one (no linter saw it) refuses everybody."""
        try:
            made = render_cheapest(self.text, self.columns, self.count, alphabets)
        except (Invalid, TextError) as exc:
            return [Written(None, [b""] * self.count, [exc.code] * self.count)]
        coding = (made.alphabet.data_coding, made.alphabet.esm_class)
        return [Written(None, made.texts, made.reasons, coding)]


@dataclass(frozen=True, slots=True)
class SystemWording:
    """A text of its own for each."""

    bodies: Sequence[str]

    def of(self, places: Sequence[int]) -> SystemWording:
        return SystemWording([self.bodies[place] for place in places])

    def written(self, alphabets: Sequence[Alphabet]) -> list[Written]:
        """A text that the carrier cannot take in one segment is refused, with its reason."""
        groups: dict[Alphabet, list[tuple[int, Segment]]] = defaultdict(list)
        for place, body in enumerate(self.bodies):
            segment = one_segment(body, alphabets)
            groups[segment.alphabet].append((place, segment))
        return [
            Written(
                None if len(group) == len(self.bodies) else [place for place, _ in group],
                [segment.octets for _, segment in group],
                [segment.reason for _, segment in group],
                (alphabet.data_coding, alphabet.esm_class),
            )
            for alphabet, group in groups.items()
        ]


@dataclass(frozen=True, slots=True)
class SubmittedWording:
    """What an ESME submitted: octets of its own, whatever the alphabet."""

    count: int

    def of(self, places: Sequence[int]) -> SubmittedWording:
        return SubmittedWording(len(places))

    def written(self, alphabets: Sequence[Alphabet]) -> list[Written]:  # noqa: ARG002
        return [Written(None, [b""] * self.count, [None] * self.count)]


NO_WORDS = SubmittedWording(0)
