"""Prices of a batch: of the instant at which each message was accepted, which its id says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from smsgate.alike import made_of_each
from smsgate.billing.prices import Direction, PriceBook, PriceVersion
from smsgate.billing.rating import Rated, rate_columns
from smsgate.flows.ports import Carrier
from smsgate.flows.routes import Prices
from smsgate.ids import unix_ms_of


class Rates(NamedTuple):
    """Columns of a batch; item 0: none, and `reasons` says why a message is refused for it."""

    sell_item_ids: list[int]
    sell_micros: list[int]
    cost_item_ids: list[int]
    cost_micros: list[int]
    currency: str
    cost_currency: str
    reasons: list[str | None]
    delivered: frozenset[int]


def rates_of(
    prices: Prices,
    merchant_id: int,
    carrier: Carrier | None,
    message_ids: Sequence[int],
    networks: Sequence[str],
    segments: Sequence[int] | int,
) -> Rates:
    """Price every message; a merchant without a list, or a network without a price, is refused."""
    book = prices.book_of(merchant_id)
    cost_list = None if carrier is None else carrier.cost_list
    cost_book = None if cost_list is None else prices.cost_book(cost_list)
    sell = rated(book, message_ids, networks, segments)
    cost = rated(cost_book, message_ids, networks, segments)
    return Rates(
        made_of_each(sell.item_ids, _or_zero),
        sell.micros,
        made_of_each(cost.item_ids, _or_zero),
        cost.micros,
        "" if book is None else book.currency,
        "" if cost_book is None else cost_book.currency,
        sell.reasons,
        sell.delivered | cost.delivered,
    )


def _or_zero(item_id: int | None) -> int:
    return item_id or 0


def rated(
    book: PriceBook | None,
    message_ids: Sequence[int],
    networks: Sequence[str],
    segments: Sequence[int] | int,
) -> Rated:
    """
    Return the prices of MTs by one list; of a held or waiting message they are those of its acceptance.

    A list that a merchant or a carrier got after the acceptance, and that is younger, has the prices of its
    first version: the message was taken in, and nobody would send it otherwise.
    """
    if book is None or not message_ids:
        return rate_columns(None, Direction.MT, networks, segments)
    first = _version_of(book, min(message_ids))
    if first is _version_of(book, max(message_ids)):
        return rate_columns(first, Direction.MT, networks, segments)
    versions = [_version_of(book, message_id) for message_id in message_ids]
    of_version = {
        id(version): rate_columns(version, Direction.MT, networks, segments) for version in versions
    }
    own = [of_version[id(version)] for version in versions]
    return Rated(
        [rated.item_ids[place] for place, rated in enumerate(own)],
        [rated.micros[place] for place, rated in enumerate(own)],
        [rated.reasons[place] for place, rated in enumerate(own)],
        frozenset[int]().union(*(rated.delivered for rated in of_version.values())),
    )


def _version_of(book: PriceBook, message_id: int) -> PriceVersion | None:
    accepted_at = datetime.fromtimestamp(unix_ms_of(message_id) / 1_000, UTC)
    return book.version_at(accepted_at) or next(iter(book.versions), None)
