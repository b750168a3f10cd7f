"""Questions of a double opt-in, put in one statement a batch on a real database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from smsgate.campaigns.consent import PENDING_DAYS_MAX, Purpose
from smsgate.flows.inbound_records import Question
from smsgate.store.pool import Database
from smsgate.store.questions import put_questions

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
MERCHANT, MSISDN, SENDER = 5, 33_639_980_001, "36111"


def asked(msisdn: int, at: datetime, word: str = "w1") -> tuple[int, str, Question]:
    return msisdn, SENDER, Question(MERCHANT, 7, Purpose.OFFERS, word, at)


async def waiting(database: Database) -> list[tuple[int, str]]:
    async with database.control() as connection:
        rows = await connection.fetch("SELECT msisdn, wording_version FROM consent_question ORDER BY msisdn")
    return [tuple(row) for row in rows]


async def test_a_batch_of_questions_is_one_statement(database: Database) -> None:
    statements: list[Any] = []
    async with database.bulk() as connection:
        connection.add_query_logger(statements.append)
        assert await put_questions(connection, []) == []
        put = await put_questions(connection, [asked(MSISDN + n, NOW) for n in range(30)])
        connection.remove_query_logger(statements.append)
    assert put == [MSISDN + n for n in range(30)]
    assert len([each for each in statements if "consent_question" in each.query]) == 1
    assert len(await waiting(database)) == 30


async def test_the_first_question_of_a_batch_is_the_one_that_waits(database: Database) -> None:
    async with database.bulk() as connection:
        put = await put_questions(
            connection,
            [asked(MSISDN, NOW + timedelta(seconds=1), "second"), asked(MSISDN, NOW, "first")],
        )
    assert put == [MSISDN]
    assert await waiting(database) == [(MSISDN, "first")]


async def test_a_question_gives_way_to_another_when_its_time_is_over_and_not_before(
    database: Database,
) -> None:
    over = NOW + timedelta(days=PENDING_DAYS_MAX)
    async with database.bulk() as connection:
        await put_questions(connection, [asked(MSISDN, NOW, "first")])
        assert await put_questions(connection, [asked(MSISDN, over, "second")]) == []
        assert await waiting(database) == [(MSISDN, "first")]
        late = over + timedelta(seconds=1)
        assert await put_questions(connection, [asked(MSISDN, late, "third")]) == [MSISDN]
    assert await waiting(database) == [(MSISDN, "third")]


async def test_a_question_that_replaces_another_does_at_once(database: Database) -> None:
    async with database.bulk() as connection:
        await put_questions(connection, [asked(MSISDN, NOW, "first")])
        again = [asked(MSISDN, NOW, "second")]
        assert await put_questions(connection, again, replacing=True) == [MSISDN]
    assert await waiting(database) == [(MSISDN, "second")]
