"""What one profile of the simulated SMSC is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Profile(NamedTuple):
    """
    One quirk of the field as a setting of switches, with what a client ought to do about it.

    `switches` are fields of `Faults` and of `SmscSettings`. `evidence` names projects and their issues.
    """

    name: str
    sentence: str
    evidence: str
    client: str
    switches: Mapping[str, object]
