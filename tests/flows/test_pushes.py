"""WAP Push beside texts: in parts with its own header at every carrier, and known when its owner dies."""

from __future__ import annotations

import pytest

from smsgate.flows.long_texts import pushed
from smsgate.protocol.gsm0338 import ESM_CLASS_UDHI
from smsgate.protocol.wap_push import DATA_CODING, PART_OCTETS, Indication, Loading, push_pdu
from smsgate.store.pool import Database
from tests.flows.test_long_texts import LONG, sums
from tests.flows.world import UNIT_MICROS, World, a_world, eventually

SHORT = push_pdu(Loading("https://boxman.example/4711"), transaction_id=0)
THREE = push_pdu(
    Indication("https://boxman.example/4711", "Votre colis vous attend. " * 10), transaction_id=0
)


async def a_push(world: World, number: int, octets: bytes) -> int:
    message_id = await world.system_message(number, "what people are shown")
    await world.execute(
        "UPDATE message SET kind = 'transaction', push = $2 WHERE message_id = $1", message_id, octets
    )
    return message_id


@pytest.mark.parametrize("reference", [0, 1, 255, 256, 1 << 62])
def test_the_parts_of_a_push_and_its_transaction_id_go_by_one_octet_of_the_reference(reference: int) -> None:
    sent = pushed(THREE, reference)
    number = reference % 256
    assert (sent.coding, sent.reason, len(sent.short_messages)) == ((DATA_CODING, ESM_CLASS_UDHI), None, 3)
    assert {part[9] for part in sent.short_messages} == {number}
    assert b"".join(part[12:] for part in sent.short_messages) == bytes((number,)) + THREE[1:]
    assert len(sent.short_messages[0]) == 12 + PART_OCTETS


@pytest.mark.parametrize("concat", ["udh8", "udh16", "sar", "payload"])
async def test_pushes_and_texts_of_one_claim_are_sent_each_in_its_own_coding(
    database: Database, concat: str
) -> None:
    async with a_world(database, subscribers=2) as world:
        world.profile_changes = {"concat": concat}
        await a_push(world, 0, SHORT)
        await world.system_message(1, LONG)
        await a_push(world, 0, THREE)
        async with world.gateway():
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
            await eventually(lambda: "".join(world.texts_to(1)) == LONG)  # by SAR the phones join nothing
        rows = await world.rows("SELECT segment, segments, parts FROM sent ORDER BY message_id, segment")
        texts = [(1, 3, None)] if concat == "payload" else [(part, 1, 3) for part in (1, 2, 3)]
        pushes = [(part, 1, 3) for part in (1, 2, 3)]
        assert [tuple(row) for row in rows] == [(1, 1, None), *texts, *pushes]
        assert (await sums(world))["unbilled"] == (7 * UNIT_MICROS, 7)


async def test_a_push_that_a_dead_owner_left_is_one_unknown_that_counts_for_its_segments(
    database: Database,
) -> None:
    async with a_world(database, subscribers=1) as world:
        await a_push(world, 0, THREE)
        await world.execute("UPDATE interactive_queue SET owner = 999")
        async with world.gateway():
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
        rows = await world.rows("SELECT segment, segments, parts, status FROM sent")
        assert [tuple(row) for row in rows] == [(1, 3, None, -1)]
        assert world.log.submits == 0


async def test_a_stop_while_a_push_waits_holds_it(database: Database) -> None:
    async with a_world(database, subscribers=1) as world:
        await a_push(world, 0, THREE)
        await world.execute("UPDATE subscriber SET offers_state = 'unsubscribed'")
        async with world.gateway():
            await eventually(lambda: world.value("SELECT count(*) = 0 FROM interactive_queue"))
        assert await world.value("SELECT count(*) FROM sent WHERE reason = 'stopped'") == 3
        assert world.log.submits == 0
