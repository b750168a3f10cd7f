"""What a merchant used: monthly statements from the ledger, exact in micros, rounded once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from smsgate.billing.periods import Month, month_bounds
from smsgate.billing.statements import Statement, StatementLine, build_statement, statement_csv
from smsgate.errors import Invalid, SmsgateError
from smsgate.flows.commerce_records import MerchantProfile
from smsgate.flows.ports_commerce import OffersStore, UsageStore
from smsgate.flows.usage_records import MonthRow, UsageRow
from smsgate.money import check_currency
from smsgate.security.public_ids import Kind, PublicIds

CSV_MEDIA_TYPE: Final = "text/csv; charset=utf-8; header=present"


@dataclass(frozen=True, slots=True)
class UsageStatement:
    """`lines` add up over campaigns; `unknown` messages are in doubt and not charged."""

    statement: Statement
    lines: Sequence[StatementLine]
    zone: str
    unknown: int


class Usage:
    def __init__(self, store: UsageStore, merchants: OffersStore, public_ids: PublicIds) -> None:
        self._store = store
        self._merchants = merchants
        self._public_ids = public_ids

    async def months(self, merchant_id: int) -> Sequence[MonthRow]:
        """Return the months with usage, newest first, one entry per currency."""
        merchant = await self._merchants.merchant(merchant_id)
        return await self._store.months(merchant_id, merchant.timezone)

    async def statement(self, merchant_id: int, month: str, currency: str | None = None) -> UsageStatement:
        """
        Return one month; a month without usage is a statement of zero.

        Raises:
            Invalid: code `month_invalid` or `currency_unknown`.
        """
        merchant = await self._merchants.merchant(merchant_id)
        asked = Month.parse(month)
        code = check_currency(currency or merchant.currency)
        rows, unknown = await self._store.lines(merchant_id, *month_bounds(asked, merchant.timezone), code)
        statement = self._build(merchant, asked, code, [self._line(row) for row in rows])
        return UsageStatement(statement, _folded(statement.lines), merchant.timezone, unknown)

    async def csv(self, merchant_id: int, month: str, currency: str | None = None) -> str:
        """Return the month by campaign, in RFC 4180."""
        return statement_csv((await self.statement(merchant_id, month, currency)).statement)

    def _line(self, row: UsageRow) -> StatementLine:
        campaign = row.campaign_external_id or ""
        if not campaign and row.campaign_id is not None:
            campaign = self._public_ids.encode(Kind.CAMPAIGN, row.campaign_id)
        return StatementLine(
            campaign=campaign,
            direction=row.direction,
            network=row.network,
            price_item=self._public_ids.encode(Kind.PRICE_ITEM, row.item_id),
            unit_micros=row.unit_micros,
            messages=row.messages,
            segments=row.segments,
            amount_micros=row.amount_micros,
        )

    def _build(
        self, merchant: MerchantProfile, month: Month, currency: str, lines: Sequence[StatementLine]
    ) -> Statement:
        try:
            return build_statement(
                merchant_id=merchant.merchant_id,
                merchant=merchant.name,
                month=month,
                zone_name=merchant.timezone,
                currency=currency,
                lines=lines,
            )
        except Invalid as exc:  # the caller asked rightly: the books are wrong, and somebody must look
            raise SmsgateError(f"statement of merchant {merchant.merchant_id}, {month}: {exc}") from exc


def _folded(lines: Sequence[StatementLine]) -> list[StatementLine]:
    """Add lines up over campaigns: what a bill shows is prices and quantities."""
    totals: defaultdict[tuple[str, str, str, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    for line in lines:
        total = totals[line.direction, line.network, line.price_item, line.unit_micros]
        total[0] += line.messages
        total[1] += line.segments
        total[2] += line.amount_micros
    return [StatementLine("", *key, *total) for key, total in sorted(totals.items())]
