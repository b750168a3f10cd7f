"""MOs for ESMEs and STOPs to their numbers, in the transaction of a group of MOs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from smsgate.flows.esme_mos import EsmeWrites
from smsgate.flows.esme_records import DELIVERY_LIFE
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection
from smsgate.store.notices import publish_sender_stop

_SQL: Final = load("esme_traffic")


async def write_esmes(connection: Connection, writes: EsmeWrites, next_id: Callable[[], int]) -> None:
    mos = writes.handed_over
    if mos:
        await connection.execute(
            _SQL["insert_mos"],
            [mo.merchant_id for mo in mos],
            [next_id() for _ in mos],
            [mo.account_id for mo in mos],
            [mo.body for mo in mos],
            [mo.received_at for mo in mos],
            DELIVERY_LIFE,
        )
    last = {(stop.merchant_id, stop.sender, stop.msisdn): stop for stop in writes.stops}
    stopped = [stop for stop in last.values() if stop.stopped]
    if stopped:
        await connection.execute(
            _SQL["insert_sender_stops"],
            [stop.merchant_id for stop in stopped],
            [stop.sender for stop in stopped],
            [stop.msisdn for stop in stopped],
            [stop.at for stop in stopped],
        )
        for stop in stopped:
            await publish_sender_stop(connection, stop.sender, stop.msisdn)
    started = [stop for stop in last.values() if not stop.stopped]
    if started:
        await connection.execute(
            _SQL["delete_sender_stops"],
            [stop.merchant_id for stop in started],
            [stop.sender for stop in started],
            [stop.msisdn for stop in started],
        )
