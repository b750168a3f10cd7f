"""What counts as the carrier's repetition: the session tells (docs/decisions/0009)."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from smsgate.flows.inbound_records import fingerprint
from smsgate.flows.records import Ack, MobileOriginated
from smsgate.security.suppression import SuppressionHashes
from smsgate.store.inbound import StoredInbound
from smsgate.store.pool import Database
from tests.flows.world import STAMPS

HASHES = SuppressionHashes(bytes(32))

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
PROCESS, ANOTHER = "5", "6"


def an_mo(*, after_s: float = 0, session: int = 1, text: str = "OK") -> MobileOriginated:
    return MobileOriginated(
        carrier_id=1,
        msisdn=33612345678,
        source="33612345678",
        destination="36111",
        text=text,
        raw=text.encode(),
        data_coding=0,
        received_at=AT + timedelta(seconds=after_s),
        ack=Ack(1, session, [1]),
    )


async def is_new(database: Database, mo: MobileOriginated, process: str = PROCESS) -> bool:
    async with StoredInbound(database, itertools.count(1 << 40).__next__, HASHES, STAMPS).group() as group:
        return (await group.arrive([mo], [fingerprint(mo)], process)).fresh == {0}


@pytest.mark.parametrize(
    ("after_s", "session", "process", "new"),
    [
        (59, 1, PROCESS, False),  # a handset repeats
        (61, 1, PROCESS, True),  # the same session took our answer: the person says it again
        (61, 2, PROCESS, False),  # a new connection: our answer may have been lost
        (61, 1, ANOTHER, False),  # another process, or this one after a restart
        (599, 2, PROCESS, False),
        (601, 2, PROCESS, True),
        (601, 1, ANOTHER, True),
    ],
)
async def test_the_same_text_is_new_or_a_repetition_by_session_and_time(
    database: Database, after_s: float, session: int, process: str, *, new: bool
) -> None:
    assert await is_new(database, an_mo())
    assert await is_new(database, an_mo(after_s=after_s, session=session), process) is new


async def test_another_text_is_always_new_and_a_pair_in_one_group_is_one(database: Database) -> None:
    assert await is_new(database, an_mo())
    assert await is_new(database, an_mo(after_s=1, text="NON"))
    pair = [an_mo(text="OK 2"), an_mo(after_s=1, text="OK 2")]
    async with StoredInbound(database, itertools.count(1 << 40).__next__, HASHES, STAMPS).group() as group:
        arrived = await group.arrive(pair, [fingerprint(mo) for mo in pair], PROCESS)
        assert arrived.fresh == {0}
