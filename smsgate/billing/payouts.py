"""
Premium payout: what a merchant gets of what customers paid for messages to its short codes (R15).

Retail price without VAT x the carrier's share x the merchant's share x billed count, one fraction per line,
rounded once; VAT once on the sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from smsgate.billing.vat import Vat, vat_amount
from smsgate.errors import Invalid
from smsgate.money import HUNDRED_PERCENT, micros_per_minor, round_half_away

if TYPE_CHECKING:
    from collections.abc import Iterable


class PremiumUse(NamedTuple):
    """`retail_micros` is with VAT, per billed message; rate and shares are millionths of a percent."""

    short_code: str
    retail_micros: int
    vat_rate_micros: int
    carrier_share_micros: int
    merchant_share_micros: int
    billed: int


class PayoutLine(NamedTuple):
    use: PremiumUse
    net_minor: int


@dataclass(frozen=True, slots=True)
class Payout:
    lines: tuple[PayoutLine, ...]
    net_minor: int
    vat: Vat
    vat_minor: int

    @property
    def gross_minor(self) -> int:
        return self.net_minor + self.vat_minor


def payout_line(use: PremiumUse, currency: str) -> PayoutLine:
    """
    Return one line.

    Raises:
        Invalid: code `payout_invalid`: a share of more than everything, or anything below zero.
    """
    shares = use.carrier_share_micros, use.merchant_share_micros
    if min(use.retail_micros, use.vat_rate_micros, use.billed, *shares) < 0 or max(shares) > HUNDRED_PERCENT:
        raise Invalid(f"the payout of {use.short_code} has an impossible figure", code="payout_invalid")
    share = use.retail_micros * use.billed * use.carrier_share_micros * use.merchant_share_micros
    scale = (HUNDRED_PERCENT + use.vat_rate_micros) * HUNDRED_PERCENT * micros_per_minor(currency)
    return PayoutLine(use, round_half_away(share, scale))


def payout_of(uses: Iterable[PremiumUse], currency: str, vat: Vat) -> Payout:
    """Return the payout in order of short code; `vat` is what the merchant's own service is taxed with."""
    lines = tuple(payout_line(use, currency) for use in sorted(uses))
    net = sum(line.net_minor for line in lines)
    return Payout(lines, net, vat, vat_amount(net, vat))
