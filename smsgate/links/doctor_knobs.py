"""What the connector doctor may turn until a carrier takes a message, and which status turns what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, get_args

from smsgate.links.profile_senders import DIGITS, SHORT_CODE_DIGITS_MAX
from smsgate.protocol.commands import Status
from smsgate.protocol.segmentation import Concat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from smsgate.links.profile import CarrierProfile

SHORT_CODE: Final = "short_code_ton_npi"
ALPHANUMERIC: Final = "alphanumeric_ton_npi"
MSISDN: Final = "msisdn_ton_npi"
SOURCE: Final = "source"  # the sender's TON and NPI, whichever key holds them

# Values in the order in which carriers' manuals ask for them most often.
ALTERNATIVES: Final[Mapping[str, tuple[Any, ...]]] = {
    SHORT_CODE: ((3, 0), (0, 0), (0, 1), (6, 0), (3, 1), (2, 1)),
    ALPHANUMERIC: ((5, 0), (5, 1), (0, 0)),
    MSISDN: ((1, 1), (0, 1), (0, 0), (1, 0), (2, 1)),
    "validity": ("absolute", "relative", "none"),
    "registered_delivery": (1, 0),
    "gsm_data_coding": (0, 1),
}
# A status that says what was wrong turns that one; SMSCs that say no more than "failed" leave it to us.
TURNED_BY: Final[Mapping[int, tuple[str, ...]]] = {
    Status.INVSRCADR: (SOURCE,),
    Status.INVSRCTON: (SOURCE,),
    Status.INVSRCNPI: (SOURCE,),
    Status.INVDSTADR: (MSISDN,),
    Status.INVDSTTON: (MSISDN,),
    Status.INVDSTNPI: (MSISDN,),
    Status.INVEXPIRY: ("validity",),
    Status.INVSCHED: ("validity",),
    Status.INVREGDLVFLG: ("registered_delivery",),
    Status.INVDCS: ("gsm_data_coding",),
}
TLVS_SINCE: Final = 0x34  # the version whose submit_sm may have optional parameters
ATTEMPTS_MAX: Final = 16  # of one message that is refused; a carrier may count refusals


@dataclass(slots=True)
class Knobs:
    """
    The settings of the next attempt; `turned` names those that differ from the profile's.

    `sender_key` is the key that holds TON and NPI of the sender in use.
    """

    sender_key: str
    values: dict[str, Any]
    turned: set[str] = field(default_factory=set)
    _left: dict[str, list[Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, profile: CarrierProfile, sender_key: str) -> Knobs:
        return cls(sender_key, {key: getattr(profile, key) for key in ALTERNATIVES})

    def turn(self, status: int) -> str | None:
        """Take the next value of what `status` blames; return its key, or None when nothing is left."""
        for blamed in TURNED_BY.get(status, ()):
            key = self.sender_key if blamed == SOURCE else blamed
            current = self.values[key]
            left = self._left.setdefault(key, [each for each in ALTERNATIVES[key] if each != current])
            if left:
                self.values[key] = left.pop(0)
                self.turned.add(key)
                return key
        return None


def concats(profile: CarrierProfile) -> list[Concat]:
    """Return the ways to tell the parts of a long text that this profile could have, its own first."""
    ways = [profile.concat, *(way for way in get_args(Concat) if way != profile.concat)]
    if profile.interface_version < TLVS_SINCE:
        return [way for way in ways if way not in {"sar", "payload"}]
    return [way for way in ways if way != "payload" or not profile.packed]


def sender_key(sender: str) -> str:
    """Return the key of a profile that holds TON and NPI of such a sender."""
    if DIGITS.fullmatch(sender) is None:
        return ALPHANUMERIC
    return SHORT_CODE if len(sender.removeprefix("+")) <= SHORT_CODE_DIGITS_MAX else MSISDN
