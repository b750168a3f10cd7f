"""Whom a campaign is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

# Digits of a number by which an audience is counted: enough to tell the operators of every plan we know,
# few enough that no audience makes more than some ten thousand groups.
PREFIX_DIGITS: Final = 7
# Seconds: how long one look through an audience may take. Eleven million people take longer than the 30 that
# other work of a request may.
LOOK_S_MAX: Final = 600


@dataclass(frozen=True, slots=True)
class Audience:
    """Everybody subscribed, or who has any of `tags`, or `subscriber_ids`; each narrowed by the rest."""

    tags: tuple[str, ...] | None = None
    subscriber_ids: tuple[int, ...] | None = None
    fields: Mapping[str, str] = field(default_factory=dict)  # all of these values
    bought_any: tuple[int, ...] = ()  # offers, of which the person ordered one
    exclude_bought: tuple[int, ...] = ()  # offers, of which the person ordered none
