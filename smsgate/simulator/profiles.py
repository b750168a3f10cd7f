"""All profiles by name, and the settings that one or several of them make."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Final

from smsgate.errors import ConfigError
from smsgate.simulator.faults import Faults
from smsgate.simulator.profile import Profile
from smsgate.simulator.profiles_flow import FLOW_PROFILES
from smsgate.simulator.profiles_receipts import ID_PROFILES, RECEIPT_PROFILES
from smsgate.simulator.profiles_session import PDU_PROFILES, SESSION_PROFILES
from smsgate.simulator.profiles_text import MO_PROFILES, TEXT_PROFILES
from smsgate.simulator.smsc_settings import SmscSettings

GROUPS: Final[Mapping[str, tuple[Profile, ...]]] = {
    "Message ids": ID_PROFILES,
    "Receipts": RECEIPT_PROFILES,
    "Sessions": SESSION_PROFILES,
    "PDUs": PDU_PROFILES,
    "Flow": FLOW_PROFILES,
    "Texts of phones": MO_PROFILES,
    "Texts to phones": TEXT_PROFILES,
}
PROFILES: Final[Mapping[str, Profile]] = {each.name: each for group in GROUPS.values() for each in group}
assert len(PROFILES) == sum(map(len, GROUPS.values()))

_FAULTS: Final = frozenset(each.name for each in fields(Faults))


def find_profile(name: str) -> Profile:
    """
    Return the profile of that name.

    Raises:
        ConfigError: there is none; names the nearest.
    """
    profile = PROFILES.get(name)
    if profile is None:
        near = difflib.get_close_matches(name, PROFILES, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ConfigError(f"no profile is called {name[:40]!r}", "profile", f"{hint}--profiles lists them")
    return profile


def with_profiles(settings: SmscSettings, profiles: Sequence[Profile]) -> SmscSettings:
    """
    Return `settings` with the switches of all `profiles`.

    Raises:
        ConfigError: two profiles set one switch to different values.
    """
    switches: dict[str, tuple[object, str]] = {}
    for profile in profiles:
        for name, value in profile.switches.items():
            other, whose = switches.setdefault(name, (value, profile.name))
            if other != value:
                raise ConfigError(
                    f"{whose} and {profile.name} both set {name}", "profile", "choose one of the two"
                )
    values: dict[str, Any] = {name: value for name, (value, _) in switches.items()}
    faults = {name: value for name, value in values.items() if name in _FAULTS}
    rest = {name: value for name, value in values.items() if name not in _FAULTS}
    return replace(settings, faults=replace(settings.faults, **faults), **rest)


def as_json(profile: Profile) -> dict[str, object]:
    """Return what `--profiles --json` prints of one profile."""
    return {
        "name": profile.name,
        "sentence": profile.sentence,
        "evidence": profile.evidence,
        "client": profile.client,
        "switches": {name: _plain(value) for name, value in profile.switches.items()},
    }


def _plain(value: object) -> object:
    """Return a switch as JSON has it: octets as hexadecimal digits."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value
