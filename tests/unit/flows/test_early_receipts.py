"""A receipt that is read before the response that names its message, which came over another bind."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

import pytest

from smsgate.flows.allowances import Grants
from smsgate.flows.outcomes import Cut, Outcomes
from smsgate.flows.records import Ack, CarrierReceipts
from smsgate.flows.references import References
from smsgate.flows.sending_limits import SendingLimits
from smsgate.protocol.message_ids import ALL_FORMS, IdForm, ReceiptIds
from tests.unit.flows.test_cut import AT, SIZE, a_batch

AS_IS = ReceiptIds((IdForm.AS_IS,))
LATER = AT + timedelta(seconds=1)
IDS = [b"1a", b"2b", b"3c", b"4d"]


def outcomes_with_nothing() -> Outcomes:
    return Outcomes(count(1).__next__)


def came(outcomes: Outcomes, *smsc_ids: bytes, state: int = 2, ids: ReceiptIds = AS_IS) -> Ack:
    number = len(smsc_ids)
    ack = Ack(1, 1, list(range(number)))
    outcomes.receipts(
        CarrierReceipts(1, list(smsc_ids), [b""] * number, [state] * number, [b""] * number, ack), ids, AT
    )
    return ack


def cut(outcomes: Outcomes) -> Cut:
    return outcomes.cut(Grants(8_000, SendingLimits()), LATER)


def test_it_waits_for_the_cut_and_is_written_with_the_outcome_of_its_message() -> None:
    outcomes, batch = outcomes_with_nothing(), a_batch(1)
    ack = came(outcomes, *IDS[:2])
    assert outcomes.gathered() == (0, 2)
    assert not outcomes.empty()
    outcomes.accepted(batch, list(range(SIZE)), IDS, LATER)
    found = cut(outcomes)
    assert found.flush.receipts.received_at == [AT, AT]
    assert found.flush.receipts.message_ids == list(batch.message_ids[:2])
    assert found.flush.counters[7, 9, "delivered"] == 2
    assert len(found.flush.unmatched) == 0
    assert found.acks == [ack]
    counts = outcomes.receipt_counts
    assert (counts.matched, counts.waiting) == (2, 0)
    assert cut(outcomes).flush.receipts.message_ids == []


def test_the_database_looks_for_one_whose_response_has_not_come_by_then() -> None:
    outcomes, batch = outcomes_with_nothing(), a_batch(1)
    came(outcomes, b"9z")
    outcomes.accepted(batch, list(range(SIZE)), IDS, AT)
    found = cut(outcomes).flush
    assert (found.unmatched.smsc_ids, found.unmatched.received_at) == ([b"9z"], [AT])
    assert len(found.receipts) == 0
    assert outcomes.receipt_counts.waiting == 1
    assert len(cut(outcomes).flush.unmatched) == 0


@pytest.mark.parametrize("spelling", [b"1a", b"1A", b"001a"])
def test_it_is_found_by_each_spelling_that_is_the_same_id(spelling: bytes) -> None:
    outcomes, batch = outcomes_with_nothing(), a_batch(1)
    came(outcomes, spelling)
    outcomes.accepted(batch, [0], [b"1a"], AT)
    assert cut(outcomes).flush.receipts.message_ids == [batch.message_ids[0]]


def test_it_is_found_in_the_form_of_the_carriers_ids_and_no_other_carriers_message_is_taken() -> None:
    outcomes, batch, other = outcomes_with_nothing(), a_batch(1), a_batch(2)
    other.carrier_id = 2
    came(outcomes, b"7b", ids=ReceiptIds((IdForm.HEX_TO_DEC,)))
    outcomes.accepted(other, [0], [b"123"], AT)
    outcomes.accepted(batch, [0, 1], [b"0123", b"123"], AT)
    assert cut(outcomes).flush.receipts.message_ids == [batch.message_ids[1]]


def test_an_early_failure_counts_as_one_and_an_early_intermediate_state_leaves_the_wait_open() -> None:
    outcomes, batch = outcomes_with_nothing(), a_batch(1)
    came(outcomes, IDS[0], state=5)
    came(outcomes, IDS[1], state=1)
    outcomes.accepted(batch, [0, 1], IDS[:2], AT)
    found = cut(outcomes).flush
    assert found.receipts.states == [5, 1]
    assert (found.counters[7, 9, "failed"], (7, 9, "delivered") in found.counters) == (1, False)
    came(outcomes, IDS[1])
    assert cut(outcomes).flush.counters[7, 9, "delivered"] == 1


def test_without_new_messages_nothing_is_looked_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart all receipts of before come so: many at once, in one turn of the loop."""
    outcomes = outcomes_with_nothing()
    came(outcomes, *IDS)
    monkeypatch.setattr(References, "of", lambda *_: pytest.fail("looked for"))
    assert cut(outcomes).flush.unmatched.smsc_ids == IDS


def test_one_read_has_both_and_each_message_is_counted_once() -> None:
    outcomes, batch = outcomes_with_nothing(), a_batch(1)
    outcomes.accepted(batch, [0, 1], IDS[:2], AT)
    came(outcomes, IDS[0], IDS[2], IDS[1], IDS[2])
    outcomes.accepted(batch, [2, 3], IDS[2:], AT)
    found = cut(outcomes).flush
    assert found.receipts.message_ids == [batch.message_ids[n] for n in (0, 1, 2)]
    assert found.counters[7, 9, "delivered"] == 3
    assert found.unmatched.smsc_ids == [IDS[2]]  # a second one changes nothing: the database sees that


def test_a_carrier_whose_form_is_not_known_has_it_learned_by_the_database() -> None:
    outcomes, ids = outcomes_with_nothing(), ReceiptIds(ALL_FORMS)
    came(outcomes, b"31", ids=ids)
    assert outcomes.flush.unmatched.smsc_ids == [b"31"]
