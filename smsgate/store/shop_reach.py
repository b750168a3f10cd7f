"""The store's side of shops that take no orders (implements flows.shop_reach.ShopReachStore)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from smsgate.flows.commerce_records import EventColumns
from smsgate.flows.events import add_event
from smsgate.flows.ports_webhooks import EndpointAnswers
from smsgate.flows.shop_reach import LOST_AFTER, LOST_FAILURES_MIN, Reach
from smsgate.store.catalogue import load
from smsgate.store.events import insert_events

if TYPE_CHECKING:
    from smsgate.flows.ports import Ids
    from smsgate.store.connection import Connection
    from smsgate.store.pool import Database

_SQL: Final = load("shop_reach")
LOST: Final = "merchant.unreachable"
FOUND: Final = "merchant.reachable"


class PgShopReach:
    def __init__(self, database: Database, ids: Ids, public_merchant: Callable[[int], str]) -> None:
        self._database = database
        self._ids = ids
        self._public_merchant = public_merchant

    async def look(
        self, *, failures_min: int, failing_before: datetime, probed_before: datetime, now: datetime
    ) -> Reach:
        async with self._database.bulk_transaction() as connection:
            rows = await connection.fetch(_SQL["lost_shops"], failures_min, failing_before)
            since: dict[int, datetime | None] = {row["merchant_id"]: row["since"] for row in rows}
            gone = list(since)
            lost = [row[0] for row in await connection.fetch(_SQL["lose"], gone, now)]
            found = [row[0] for row in await connection.fetch(_SQL["find"], gone)]
            told = [(merchant_id, LOST) for merchant_id in lost] + [(each, FOUND) for each in found]
            for row in await connection.fetch(_SQL["probe"], gone, now, probed_before):
                merchant_id = row[0]
                await connection.execute(_SQL["try_oldest"], merchant_id, now)
                if merchant_id not in lost and not await connection.fetchval(
                    _SQL["anything_waits"], merchant_id
                ):
                    told.append((merchant_id, LOST))  # something has to be there to be tried
            await insert_events(connection, self._events(told, since, now))
        live = sum(not row["test"] for row in rows)
        return Reach({merchant_id: since[merchant_id] for merchant_id in lost}, found, live)

    def _events(
        self, told: Iterable[tuple[int, str]], since: Mapping[int, datetime | None], now: datetime
    ) -> EventColumns:
        events = EventColumns()
        for merchant_id, type_ in told:
            add_event(
                events,
                merchant_id=merchant_id,
                event_id=self._ids.next(),
                type_=type_,
                subject=self._public_merchant(merchant_id),
                data={"since": since[merchant_id]} if type_ == LOST else {},
                at=now,
            )
        return events


async def note_answers(connection: Connection, answers: Sequence[EndpointAnswers], at: datetime) -> None:
    """
    Note which endpoints took something and which did not; what waits for one that is back goes at once.

    To be called after the results of the attempts are written.
    """
    failed: dict[int, list[EndpointAnswers]] = defaultdict(list)
    took: dict[int, list[EndpointAnswers]] = defaultdict(list)
    for each in answers:
        if each.failures:
            failed[each.merchant_id].append(each)
        if each.took:
            took[each.merchant_id].append(each)
    for merchant_id, group in failed.items():
        endpoints, counts = [each.endpoint_id for each in group], [each.failures for each in group]
        await connection.execute(_SQL["endpoints_failed"], merchant_id, endpoints, counts, at)
    for merchant_id, group in took.items():
        endpoints, orders = [each.endpoint_id for each in group], [each.took_order for each in group]
        rows = await connection.fetch(
            _SQL["endpoints_answered"], merchant_id, endpoints, orders, LOST_FAILURES_MIN, at - LOST_AFTER
        )
        if back := [row["endpoint_id"] for row in rows if row["was_lost"]]:
            await connection.execute(_SQL["hasten"], merchant_id, back, at)
