"""System texts of several segments: whole on the phone, counted by segment, known part by part."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.flows.long_texts import PARTS_MAX, ConcatReferences, LongText, Parts, long_text
from smsgate.protocol.commands import Status
from smsgate.protocol.encodings import GSM, UCS2, permitted
from smsgate.protocol.mo_text import read_mo
from smsgate.protocol.segmentation import Concat
from smsgate.protocol.shift_tables import Shift
from smsgate.simulator.faults import Faults
from smsgate.simulator.reassembly import Reassembly
from smsgate.store.pool import Database
from tests.batches import batch_of
from tests.flows.world import COST_MICROS, MERCHANT, UNIT_MICROS, a_world, eventually

LONG: Final = " ".join(f"Article {number} de votre commande: 1 CD, 19,90€." for number in range(8))
FRENCH: Final = LONG.replace("votre commande", "la commande reçue, prête")


async def sums(world: object) -> dict[str, tuple[int, int]]:
    rows = await world.rows(  # type: ignore[attr-defined]
        "SELECT account, sum(amount_micros) AS micros, sum(segments) AS segments FROM ledger_entry "
        "WHERE merchant_id = $1 GROUP BY account",
        MERCHANT,
    )
    return {row["account"]: (row["micros"], row["segments"]) for row in rows}


@pytest.mark.parametrize("concat", ["udh8", "udh16"])
async def test_a_long_text_is_whole_on_the_phone_and_each_part_is_sent_priced_and_receipted(
    database: Database, concat: str
) -> None:
    async with a_world(database, subscribers=2) as world:
        world.profile_changes = {"concat": concat}
        first = await world.system_message(0, LONG)
        await world.system_message(1, "Boxman: bonjour")
        async with world.gateway():
            await eventually(lambda: world.value("SELECT count(*) = 4 FROM receipt"))
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
        assert (world.texts_to(0), world.texts_to(1)) == ([LONG], ["Boxman: bonjour"])
        rows = await world.rows(
            "SELECT s.segment, s.segments, s.parts, s.status, s.sell_micros, r.state FROM sent s "
            "JOIN receipt r USING (merchant_id, message_id, segment) WHERE message_id = $1 ORDER BY segment",
            first,
        )
        assert [tuple(row) for row in rows] == [(part, 1, 3, 0, UNIT_MICROS, 2) for part in (1, 2, 3)]
        assert (await sums(world))["unbilled"] == (4 * UNIT_MICROS, 4)
        assert (await sums(world))["cost"] == (4 * COST_MICROS, 4)


async def test_french_takes_the_permitted_table_in_each_part(database: Database) -> None:
    async with a_world(database, subscribers=1) as world:
        world.profile_changes = {"shift": ("single:pt",)}
        await world.system_message(0, FRENCH)
        async with world.gateway():
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
            await eventually(lambda: world.simulator.phones.received >= 1)
        assert world.texts_to(0) == [FRENCH]
        assert await world.value("SELECT count(*) FROM sent WHERE parts = 3") == 3  # UCS-2 takes 7


async def test_by_message_payload_one_submit_counts_for_all_its_segments(database: Database) -> None:
    async with a_world(database, subscribers=1) as world:
        world.profile_changes = {"concat": "payload"}
        await world.system_message(0, LONG)
        async with world.gateway():
            await eventually(lambda: world.value("SELECT count(*) = 1 FROM receipt"))
        assert (world.log.submits, world.texts_to(0)) == (1, [LONG])
        (row,) = await world.rows("SELECT segments, parts, sell_micros FROM sent")
        assert tuple(row) == (3, None, 3 * UNIT_MICROS)
        assert (await sums(world))["unbilled"] == (3 * UNIT_MICROS, 3)


async def test_by_sar_the_parts_carry_no_header(database: Database) -> None:
    async with a_world(database, subscribers=1) as world:
        world.profile_changes = {"concat": "sar"}
        await world.system_message(0, LONG)
        async with world.gateway():
            await eventually(lambda: world.simulator.phones.received == 3)
        assert "".join(world.texts_to(0)) == LONG


async def test_a_text_of_more_parts_than_one_may_have_is_refused_whole(database: Database) -> None:
    async with a_world(database, subscribers=1) as world:
        await world.system_message(0, "x" * (153 * PARTS_MAX + 1))
        async with world.gateway():
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
        assert await world.value("SELECT reason FROM sent") == "text_too_long"
        assert world.log.submits == 0


async def test_parts_that_a_dead_owner_left_without_outcome_are_unknown(database: Database) -> None:
    async with a_world(database, subscribers=1) as world:
        message_id = await world.system_message(0, LONG)
        await world.execute("UPDATE interactive_queue SET owner = 999 WHERE message_id = $1", message_id)
        await world.execute(
            "INSERT INTO sent (merchant_id, message_id, segment, carrier_id, status, segments, sell_item_id, "
            "sell_micros, cost_item_id, cost_micros, sent_at, parts) "
            "VALUES ($1, $2, 1, 1, 0, 1, 1, 1, 1, 1, now(), 3)",
            MERCHANT,
            message_id,
        )
        async with world.gateway():
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
        rows = await world.rows("SELECT segment, segments, parts, status FROM sent ORDER BY segment")
        assert [tuple(row) for row in rows] == [(1, 1, 3, 0), (2, 1, 3, -1), (3, 1, 3, -1)]
        assert world.log.submits == 0


@pytest.mark.parametrize("concat", ["udh8", "payload"])
async def test_a_text_that_a_dead_owner_left_without_any_outcome_is_one_unknown_that_counts_for_its_segments(
    database: Database, concat: str
) -> None:
    async with a_world(database, subscribers=2) as world:
        world.profile_changes = {"concat": concat}
        for number, text in enumerate((LONG, "Boxman: bonjour")):
            await world.system_message(number, text)
        await world.execute("UPDATE interactive_queue SET owner = 999")
        async with world.gateway():
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
        rows = await world.rows("SELECT segment, segments, parts, status FROM sent ORDER BY message_id")
        assert [tuple(row) for row in rows] == [(1, 3, None, -1), (1, 1, None, -1)]
        assert world.log.submits == 0


@pytest.mark.parametrize(("refused", "submits"), [(1, 1), (2, 2), (3, 3)])
async def test_after_a_refused_part_the_others_are_not_sent_and_only_those_that_were_taken_are_paid(
    database: Database, refused: int, submits: int
) -> None:
    statuses = tuple(Status.SYSERR if part == refused else 0 for part in (1, 2, 3))
    async with a_world(
        database, subscribers=2, window_max=1, refuse_share=1.0, faults=Faults(refuse_statuses=(*statuses, 0))
    ) as world:
        message_id = await world.system_message(0, LONG)
        async with world.gateway() as gateway:
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
            assert world.log.submits == submits
            world.simulator.smsc.settings.refuse_share = 0.0
            await world.system_message(1, LONG)  # the next text is not concerned
            await eventually(lambda: world.value("SELECT count(*) = 6 FROM sent"))
            assert (len(gateway.pump.batches()), gateway.pump.uncommitted) == (0, 0)
        rows = await world.rows(
            "SELECT status, reason, sell_micros FROM sent WHERE message_id = $1 ORDER BY segment", message_id
        )
        taken, stopped = (0, None, UNIT_MICROS), (-2, "part_refused", 0)
        assert [tuple(row) for row in rows] == [
            *[taken] * (refused - 1),
            (Status.SYSERR, None, 0),
            *[stopped] * (3 - refused),
        ]
        paid = refused - 1 + 3
        assert (await sums(world))["unbilled"] == (paid * UNIT_MICROS, paid)


def test_a_part_that_comes_back_after_another_was_refused_is_not_sent_again() -> None:
    ids = [7, 7, 7, 8, 8]
    batch = batch_of(ids, parts=Parts(ids, [1, 2, 3, 1, 2], [3, 3, 3, 2, 2], [b""] * 5))
    assert batch.take(2) == [0, 1]
    assert batch.drop_broken([1]) == [2]
    batch.settled += 2
    batch.put_back([0])  # "not now", said after the refusal of its neighbour
    assert batch.drop_broken([]) == [0]
    batch.settled += 1
    assert batch.take(9) == [3, 4]
    assert batch.in_flight() == 2


def test_references_count_up_for_each_carrier_and_person_and_the_oldest_are_forgotten() -> None:
    references = ConcatReferences(entries_max=2)
    assert [references.next(1, 33, first=70) for _ in range(3)] == [70, 71, 72]
    assert references.next(2, 33, first=5) == 5
    assert references.next(1, 33, first=70) == 73
    references.next(1, 44, first=9)  # the third person: carrier 2 had written longest ago
    assert references.next(2, 33, first=5) == 5


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1b"), min_size=161, max_size=600),
    st.sampled_from(["udh8", "udh16"]),
    st.integers(0, 1 << 63),
)
def test_parts_put_together_are_the_text(text: str, concat: Concat, reference: int) -> None:
    long = long_text(text, permitted([Shift(single=3)]), concat, reference)
    if long.reason is not None:
        assert long.reason == "text_too_long"
        assert len(text.encode("utf-16-be")) > 134 * PARTS_MAX - 100
        return
    joined: Reassembly[None] = Reassembly()
    texts = [
        found.text
        for octets in long.short_messages
        for found in joined.add("36111", "33", read_mo(octets, *long.coding), None, 0.0)
    ]
    assert texts == [text]


def test_what_no_alphabet_carries_has_its_reason() -> None:
    assert long_text("x" * 200 + "\ud83d", (GSM, UCS2), "udh8", 1).reason
    assert long_text("é", (GSM, UCS2), "udh8", 1) == LongText((0, 0), (b"\x05",), tlvs=[])


def test_a_message_is_done_with_its_last_part_and_given_back_only_whole() -> None:
    ids = [7, 7, 7, 8, 8, 9]
    parts = Parts(ids, [1, 2, 3, 1, 2, 1], [3, 3, 3, 2, 2, 1], [b""] * 6)
    batch = batch_of(ids, parts=parts)
    assert batch.take(2) == [0, 1]
    assert parts.settle([0, 1]) == []
    assert batch.drop_unwritten() == [8, 9]
    assert parts.settle([2]) == [2]


def test_another_carrier_gets_only_messages_of_which_no_part_was_taken() -> None:
    ids = [7, 7, 8, 8, 9, 9]
    batch = batch_of(ids, parts=Parts(ids, [1, 2] * 3, [2] * 6, [b""] * 6))
    assert batch.take(4) == [0, 1, 2, 3]
    batch.put_back([1, 2, 3])  # "not now" to all but the first
    assert batch.take_rest() == [2, 3, 4, 5]
    assert not batch.exhausted()
    assert batch.take_rest() == []
    assert batch.take(9) == [1]


async def test_an_orderly_stop_between_the_parts_sends_none_of_them_again(database: Database) -> None:
    async with a_world(database, subscribers=1, rate_per_s=1) as world:
        await world.system_message(0, LONG)
        async with world.gateway():
            await eventually(lambda: world.log.submits)
        begun = world.log.submits
        assert 1 <= begun < 3
        async with world.gateway():
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
        assert world.log.submits == begun
        rows = await world.rows("SELECT segment, status, reason FROM sent ORDER BY segment")
        lost = [(part, -1, "owner_lost") for part in range(begun + 1, 4)]
        assert [tuple(row) for row in rows] == [(part, 0, None) for part in range(1, begun + 1)] + lost
        assert (await sums(world))["unbilled"] == (begun * UNIT_MICROS, begun)
