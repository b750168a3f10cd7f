"""
The ordinary design for answers, a baseline: a task for each deliver_sm, a statement for each thing it does.

smpplib reads and makes the PDUs; each answer is a transaction of its own that finds its open offer, takes a
piece from the stock and writes reply, order and confirmation; the confirmation leaves after it. Tables have
the indexes that they need and no more, statements are prepared once.
"""

from __future__ import annotations

from typing import Any

import asyncpg
from smpplib import smpp

from benchmarks.ordinary import QUEUED_SQL, Session, ordinary_database
from smsgate.bench.main import until
from smsgate.bench.meter import used_between
from smsgate.bench.scene import SENDER, msisdn_of

CONFIRMED_LIMIT_S = 60.0
YES = frozenset({"ok", "ok merci", "oui", "oui !", "d'accord", "ok svp"})
MORE_SCHEMA = """
CREATE TABLE offer (id int PRIMARY KEY, stock int NOT NULL, expires_at timestamptz NOT NULL);
CREATE TABLE open_offer (
    msisdn bigint, sender text, offer_id int NOT NULL, answered_at timestamptz, PRIMARY KEY (msisdn, sender)
);
CREATE TABLE reply (
    id bigserial PRIMARY KEY, msisdn bigint NOT NULL, text text NOT NULL, label text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE orders (
    id bigserial PRIMARY KEY, offer_id int NOT NULL, msisdn bigint NOT NULL, reply_id bigint NOT NULL,
    state text NOT NULL, created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON orders (msisdn);
"""
OPEN_SQL = (
    "SELECT offer_id FROM open_offer WHERE msisdn = $1 AND sender = $2 AND answered_at IS NULL FOR UPDATE"
)
REPLY_SQL = "INSERT INTO reply (msisdn, text, label) VALUES ($1, $2, $3) RETURNING id"
STOCK_SQL = (
    "UPDATE offer SET stock = stock - 1 WHERE id = $1 AND stock > 0 AND expires_at > now() RETURNING stock"
)
ORDER_SQL = (
    "INSERT INTO orders (offer_id, msisdn, reply_id, state) VALUES ($1, $2, $3, 'placed') RETURNING id"
)
ANSWERED_SQL = "UPDATE open_offer SET answered_at = now() WHERE msisdn = $1 AND sender = $2"


class Replies(Session):
    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        super().__init__(pool)
        self.confirmed = 0

    async def _receipt(self, pdu: Any) -> None:
        """Take a deliver_sm: a receipt as ever, or an answer."""
        if pdu.esm_class & 0x3C:
            await super()._receipt(pdu)
            return
        msisdn, sender = int(pdu.source_addr), pdu.destination_addr.decode()
        text = pdu.short_message.decode("latin-1")
        label = "accept" if text.casefold() in YES else "unclear"
        async with self._pool.acquire() as connection, connection.transaction():
            reply_id = await connection.fetchval(REPLY_SQL, msisdn, text, label)
            offer_id = await connection.fetchval(OPEN_SQL, msisdn, sender)
            left = await connection.fetchval(STOCK_SQL, offer_id)
            body = "Boxman: CD Madonna est épuisé."
            if left is not None:
                number = await connection.fetchval(ORDER_SQL, offer_id, msisdn, reply_id)
                body = f"Boxman: commande {number} confirmée, 1 x CD Madonna, 19,90€. NON = annuler."
            await connection.execute(ANSWERED_SQL, msisdn, sender)
            message_id = await connection.fetchval(QUEUED_SQL, msisdn, body)
        answer = smpp.make_pdu("deliver_sm_resp", client=self)
        answer.sequence = pdu.sequence
        self._writer.write(answer.generate())
        await self.send(message_id, sender, msisdn, body)
        self.confirmed += 1


async def run_ordinary(peer: Any, answers: int) -> dict[str, Any]:
    """Let `answers` phones say OK at once; `peer` is `benchmarks.inbound.Phones`."""
    async with ordinary_database() as (pool, meter):
        await pool.execute(MORE_SCHEMA)
        await pool.execute("INSERT INTO offer VALUES (1, $1, now() + interval '1 day')", answers)
        rows = [(msisdn_of(nth), SENDER, 1, None) for nth in range(answers)]
        await pool.copy_records_to_table("open_offer", records=rows)
        session = Replies(pool)
        await session.connect(*peer.host)

        async def done() -> bool:
            return session.confirmed >= answers and session.delivered >= answers

        before = await meter.read()
        said = await peer.answer([row[0] for row in rows], 0.0)
        assert await until(done, CONFIRMED_LIMIT_S), (session.confirmed, session.delivered)
        used = used_between(before, await meter.read(), answers)
        orders = await pool.fetchval("SELECT count(*) FROM orders")
        await session.close()
    assert orders == answers, orders
    return {
        "answers": answers,
        "answers_per_s": said["answers_per_s"],
        "gateway_cpu_us": used.gateway_cpu_us,
        "database_cpu_us": used.database_cpu_us,
        "wal_octets_each": used.wal_octets // answers,
    }
