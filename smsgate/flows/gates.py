"""What lets marketing out: hours by place, and caps; remembered as long as a verdict holds."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from smsgate.campaigns.caps import NO_CAPS, CapLimits
from smsgate.campaigns.hours import NOBODY_WAIVES, Place, Verdict, hours

PLACES_MAX: Final = 10_000  # verdicts in memory; there are fewer places than that


@dataclass(slots=True, eq=False)
class Gates:
    """
    One process's rules. `enforce_hours` False lets marketing out at any hour: for simulators alone.

    A verdict costs about a millisecond, and is asked for once a place and claim.
    """

    enforce_hours: bool = True
    waived: AbstractSet[str] = NOBODY_WAIVES
    caps: CapLimits = NO_CAPS
    _verdicts: dict[str, Verdict] = field(default_factory=dict)

    def hours(self, place: str, at: datetime) -> Verdict | None:
        """Return what the hours say of a place's key; None: no hours are kept."""
        if not self.enforce_hours:
            return None
        known = self._verdicts.get(place)
        if known is None or at >= known.until:
            if len(self._verdicts) >= PLACES_MAX:
                self._verdicts.clear()
            known = self._verdicts[place] = hours(Place.of(place), at, self.waived)
        return known


ALWAYS_OPEN: Final = Gates(enforce_hours=False)
