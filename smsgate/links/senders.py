"""Which carrier owns a sender number, when several let us send from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smsgate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smsgate.links.profile import CarrierProfile
    from smsgate.links.profile_senders import SenderNumber


def owners_of_senders(profiles: Iterable[CarrierProfile]) -> dict[str, tuple[CarrierProfile, SenderNumber]]:
    """
    Return each sender's owner, by its number without "+": who receives its answers, else the first with it.

    Raises:
        ConfigError: two carriers say that they receive for one number.
    """
    owners: dict[str, tuple[CarrierProfile, SenderNumber]] = {}
    for profile in profiles:
        for sender in profile.senders:
            number = sender.number.removeprefix("+")
            owner, entry = owners.setdefault(number, (profile, sender))
            if not sender.receives or entry is sender:
                continue
            if entry.receives:
                raise ConfigError(
                    f"sender {number} receives at carriers {owner.name} and {profile.name}",
                    f"carriers.{profile.name}.senders",
                    "let one of them receive; the other may still send from it with receives = false",
                )
            owners[number] = (profile, sender)
    return owners


def senders_of(profile: CarrierProfile) -> dict[str, frozenset[str] | None]:
    """Return a carrier's senders, without "+", and the merchants that may use each; None: everybody."""
    return {
        sender.number.removeprefix("+"): None if sender.merchants == "*" else frozenset(sender.merchants)
        for sender in profile.senders
    }
