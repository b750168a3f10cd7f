"""Questions of a double opt-in that wait for a yes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from smsgate.campaigns.consent import PENDING_DAYS_MAX
from smsgate.store.catalogue import load
from smsgate.store.columns import columns

if TYPE_CHECKING:
    from smsgate.flows.inbound_records import Question
    from smsgate.store.connection import Connection

_SQL: Final = load("subscribers")
AT_ONCE: Final = timedelta(seconds=-1)  # also of the same instant


async def put_questions(
    connection: Connection, asked: Sequence[tuple[int, str, Question]], *, replacing: bool = False
) -> list[int]:
    """
    Let a yes to these questions agree, each of a number and the sender number that it is asked from.

    Returns the numbers whose question was put: another one of the merchant may wait there, in the batch too.
    `replacing` puts these in the place of such a one: a yes is to what was asked last.
    """
    if not asked:
        return []
    msisdns, senders, questions = zip(*asked, strict=True)
    rows = await connection.fetch(
        _SQL["ask"],
        msisdns, senders,
        *columns(
            questions, "merchant_id", "subscriber_id", "purpose.value", "wording_version", "asked_at"
        ),
        AT_ONCE if replacing else timedelta(days=PENDING_DAYS_MAX),
    )  # fmt: skip
    return [row["msisdn"] for row in rows]
