"""Receipts of a read find their messages at once, or one by one where one of them is no ordinary one."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from smsgate.flows.batches import SLOT_BITS, Batch
from smsgate.flows.references import References
from smsgate.protocol.receipt_states import ReceiptState

CARRIER = 3
AT = datetime(2026, 11, 26, tzinfo=UTC)


def a_batch(handle: int, *, reported: bool = False, carrier_id: int = CARRIER) -> Batch:
    """Return what References reads of a batch of 100."""
    fields: dict[str, Any] = {
        "handle": handle,
        "carrier_id": carrier_id,
        "merchant_id": 7,
        "campaign_id": handle * 10,
        "message_ids": range(handle * 1000, handle * 1000 + 100),
        "parts": None,
        "bodies": [b""] if reported else None,
        "delivered": frozenset(),
    }
    return cast("Batch", SimpleNamespace(**fields))


def awaiting(batches: dict[int, list[bytes]], **options: Any) -> References:
    references = References()
    for handle, ids in batches.items():
        slots = [handle << SLOT_BITS | index for index in range(len(ids))]
        references.add(a_batch(handle, **options), ids, slots)
    return references


@given(st.lists(st.sampled_from([b"%d" % n for n in range(100, 130)]), unique=True, min_size=1))
def test_all_at_once_is_what_one_by_one_finds(wanted: list[bytes]) -> None:
    batches = {1: [b"%d" % n for n in range(100, 115)], 2: [b"%d" % n for n in range(115, 130)]}
    together, single = awaiting(batches), awaiting(batches)
    found = together.find_all(CARRIER, wanted)
    assert found is not None
    flat = [(run.merchant_id, run.campaign_id, message_id) for run in found for message_id in run.message_ids]
    one_by_one = [single.find(CARRIER, each, ReceiptState.DELIVRD) for each in wanted]
    assert flat == [each[:3] for each in one_by_one if each]
    assert len(together) == len(single) == 30 - len(wanted)
    assert together.find_all(CARRIER, wanted[:1]) is None  # they are not awaited any more


def test_an_unknown_id_an_id_twice_and_another_carriers_id_change_nothing() -> None:
    references = awaiting({1: [b"10", b"11"]})
    for carrier, wanted in ((CARRIER, [b"10", b"99"]), (CARRIER, [b"10", b"10"]), (CARRIER + 1, [b"10"])):
        assert references.find_all(carrier, wanted) is None
    assert len(references) == 2


def test_what_an_esme_submitted_and_what_had_an_intermediate_state_are_looked_at_one_by_one() -> None:
    assert awaiting({1: [b"10"]}, reported=True).find_all(CARRIER, [b"10"]) is None
    told = awaiting({1: [b"10", b"11"]})
    told.find(CARRIER, b"10", ReceiptState.ACCEPTD)
    assert told.find_all(CARRIER, [b"11"]) is None


def test_an_id_that_comes_again_belongs_to_the_newest_message() -> None:
    references = awaiting({1: [b"10", b"11"], 2: [b"11", b"12"]})
    found = references.find_all(CARRIER, [b"10", b"11", b"12"])
    assert found is not None
    assert [(run.campaign_id, run.message_ids) for run in found] == [(10, [1000]), (20, [2000, 2001])]
    assert len(references) == 0


def test_one_id_of_two_carriers_stands_for_two_messages() -> None:
    references = References()
    references.add(a_batch(1), [b"10"], [1 << SLOT_BITS])
    references.add(a_batch(2, carrier_id=4), [b"10"], [2 << SLOT_BITS])
    assert len(references) == 2
    for carrier_id, message_id in ((4, 2000), (CARRIER, 1000)):
        found = references.find_all(carrier_id, [b"10"])
        assert found is not None
        assert found[0].message_ids == [message_id]


def test_beyond_the_limit_the_oldest_goes_of_the_carrier_that_has_the_most() -> None:
    references = References(entries_max=3)
    references.add(a_batch(2, carrier_id=4), [b"first"], [2 << SLOT_BITS])
    references.add(a_batch(1), [b"10", b"11", b"12", b"13"], [1 << SLOT_BITS | n for n in range(4)])
    assert len(references) == 3
    assert [bool(references.find(CARRIER, each, ReceiptState.DELIVRD)) for each in (b"10", b"11", b"12")] == [
        False, False, True,
    ]  # fmt: skip
    assert references.find(4, b"first", ReceiptState.DELIVRD) is not None
