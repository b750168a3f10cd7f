"""Words that strangers opt in by, and MOs that meet them (implements flows.joining.KeywordStore)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from smsgate.campaigns.consent_commands import join_word
from smsgate.campaigns.places import place_key
from smsgate.errors import Conflict, NotFound, StoreError
from smsgate.flows.commerce_records import Page, PageAsk
from smsgate.flows.inbound_records import InboundContext, Keyword, MerchantCard, NewSubscriber
from smsgate.flows.joining import KeywordRow
from smsgate.flows.records import MobileOriginated
from smsgate.msisdn import region_of
from smsgate.store.catalogue import load
from smsgate.store.columns import columns
from smsgate.store.connection import Connection, begin_again
from smsgate.store.pages import page_rows
from smsgate.store.suppression import suppressed_among, suppressed_to_add

if TYPE_CHECKING:
    from smsgate.security.suppression import SuppressionHashes
    from smsgate.store.pool import Database

_SQL: Final = load("join_keywords")
_INBOUND: Final = load("inbound")


class PgKeywords:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, merchant_id: int, row: KeywordRow) -> None:
        try:
            async with self._database.transaction(merchant_id) as connection:
                await connection.execute(
                    _SQL["add_keyword"], merchant_id, row.sender, row.word, row.keyword_id,
                    row.wording_version, row.double_opt_in, row.created_at,
                )  # fmt: skip
        except StoreError as exc:
            if not exc.is_duplicate:
                raise
            raise Conflict(
                "This number has that word already.", code="keyword_taken", pointer="/word"
            ) from exc

    async def page(self, merchant_id: int, ask: PageAsk) -> Page[KeywordRow]:
        async with self._database.transaction(merchant_id) as connection:
            rows, more = await page_rows(connection, _SQL["keywords_page"], merchant_id, ask)
        return Page([KeywordRow(*(row[name] for name in KeywordRow._fields)) for row in rows], more)

    async def delete(self, merchant_id: int, keyword_id: int) -> None:
        async with self._database.transaction(merchant_id) as connection:
            if await connection.fetchval(_SQL["delete_keyword"], merchant_id, keyword_id) is None:
                raise NotFound


async def read_keywords(
    connection: Connection,
    hashes: SuppressionHashes,
    context: InboundContext,
    of_anybody: Sequence[MobileOriginated],
) -> None:
    """Read the keywords that texts may be, and whether their numbers may be written to."""
    asked: defaultdict[tuple[str, str], set[int]] = defaultdict(set)  # msisdns by (sender number, word)
    for mo in of_anybody:
        if word := join_word(mo.text):
            asked[mo.destination, word].add(mo.msisdn)
    if not asked:
        return
    senders, words = zip(*asked, strict=True)
    for row in await connection.fetch(_INBOUND["keywords"], senders, words):
        card = MerchantCard(**{name: row[name] for name in MerchantCard.__slots__})
        key = row["sender"], row["word"]
        context.merchants[card.merchant_id] = card
        context.keywords[key] = Keyword(card, row["word"], row["wording_version"], row["double_opt_in"])
        shut = await suppressed_among(connection, hashes, card.merchant_id, sorted(asked[key]))
        context.suppressed.update((card.merchant_id, msisdn) for msisdn in shut)


async def add_subscribers(
    connection: Connection, hashes: SuppressionHashes, rows: Sequence[NewSubscriber]
) -> None:
    """
    Make subscribers of who opted in by a keyword.

    Raises:
        StoreUnavailable: 40001, somebody else added or blocked one of them meanwhile: decide again.
    """
    if not rows:
        return
    countries = [region_of(str(row.msisdn)) or "" for row in rows]
    places = [
        place_key(country, "", "", str(row.msisdn)) for row, country in zip(rows, countries, strict=True)
    ]
    added = await connection.fetch(
        _INBOUND["add_subscribers"],
        *columns(rows, "merchant_id", "subscriber_id", "msisdn", "language"),
        countries, *columns(rows, "at"), places,
    )  # fmt: skip
    if len(added) != len(rows):
        raise begin_again("One who opts in by a keyword became a subscriber at the same time.")
    for merchant_id in sorted({row.merchant_id for row in rows}):
        mine = [row.msisdn for row in rows if row.merchant_id == merchant_id]
        if await suppressed_to_add(connection, hashes, merchant_id, mine):
            raise begin_again("One who opts in by a keyword was blocked at the same time.")
