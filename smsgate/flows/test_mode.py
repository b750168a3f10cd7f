"""
Test mode: a shop's developer plays offer, OK, order and webhook without a carrier.

A test key acts for a test merchant, which stands beside the merchant that the key belongs to and has data of
its own. It writes to simulated phones alone, whose numbers no network has and no live key may write to, so
whatever is kept by number (open offers, caps, suppression, replies) is apart as well. Messages to such a
number go to the simulated carrier whatever routes say, and a link refuses them should they get so far.
Everything else is as in real life. Test merchants pay by a list of zeros, whose charges are nowhere posted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from smsgate.billing.prices import ANY_NETWORK, Direction, PriceBook, PriceItem, PriceVersion
from smsgate.errors import Invalid
from smsgate.msisdn import SIMULATED_PHONES, is_simulated, simulated_phone

TEST_SUFFIX: Final = ".test"  # of a test merchant's slug; no other slug has a dot
SIMULATED_CARRIER: Final = "(simulated)"  # no configured carrier can have this name
PHONE_CODES: Final = ("phone_simulated", "phone_not_simulated")  # of refusals, as `check_phone` raises them
NO_ITEM: Final = 0  # as in `sent`: not charged by any item


@dataclass(frozen=True, slots=True)
class PhoneBlock:
    """The simulated phones of one test merchant; they are at home in its country."""

    block: int
    country: str

    @property
    def numbers(self) -> range:
        first = simulated_phone(self.block, 0)
        return range(first, first + SIMULATED_PHONES)


def live_slug(slug: str) -> str:
    """Return whose sender numbers a merchant may use: a test merchant has those of the one it is beside."""
    return slug.removesuffix(TEST_SUFFIX)


def check_phone(msisdn: int, phones: PhoneBlock | None) -> None:
    """
    Let test keys write to their simulated phones alone, and live keys to real ones.

    Raises:
        Invalid: code `phone_simulated` or `phone_not_simulated`.
    """
    if phones is None and is_simulated(msisdn):
        raise Invalid(
            "this is a simulated phone: only a test key may write to it",
            code="phone_simulated",
            pointer="/msisdn",
        )
    if phones is not None and msisdn not in phones.numbers:
        raise Invalid(
            f"a test key writes to simulated phones alone: +{phones.numbers[0]} to +{phones.numbers[-1]}",
            code="phone_not_simulated",
            pointer="/msisdn",
        )


def free_book(currency: str) -> PriceBook:
    """Return what a test merchant pays: nothing, to every network."""
    item = PriceItem(NO_ITEM, Direction.MT, ANY_NETWORK, 0)
    return PriceBook(NO_ITEM, currency, [PriceVersion(1, datetime.min.replace(tzinfo=UTC), [item])])
