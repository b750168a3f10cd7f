"""What becomes of submits that came back, by what the carrier said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from smsgate.flows.absent import Absent
from smsgate.flows.batches import Batch
from smsgate.flows.ports import Carrier

# (index in the batch, command_status)
Refusals = list[tuple[int, int]]


@dataclass(slots=True)
class Answers:
    """Entries of a batch that one read brought answers to; each is in one list, or waits for its phone."""

    good: list[int] = field(default_factory=list)  # accepted; as places in the columns of the answers
    again: list[int] = field(default_factory=list)  # not now
    elsewhere: Refusals = field(default_factory=list)  # not by this carrier
    refused: Refusals = field(default_factory=list)
    absent: int = 0  # how many wait for their phone from now on


def sorted_out(
    carrier: Carrier, batch: Batch, indexes: Sequence[int], codes: Sequence[int], absent: Absent, now: float
) -> Answers:
    """Sort answers; `now` in monotonic seconds. Whose phone cannot be reached is held by `absent`."""
    answers = Answers()
    for place, (index, code) in enumerate(zip(indexes, codes, strict=True)):
        if code == 0:
            answers.good.append(place)
        elif (
            code in carrier.opted_out_statuses
        ):  # whatever else is said of it: nobody else sends to this person
            answers.refused.append((index, code))
        elif code in carrier.retry_statuses and batch.may_retry(index, now):
            answers.again.append(index)
        elif code in carrier.unreachable_statuses and absent.hold(
            batch, index, now + carrier.unreachable_wait_s
        ):
            answers.absent += 1
        elif code in carrier.reroute_statuses and batch.ended is None and batch.is_whole(index):
            answers.elsewhere.append((index, code))
        else:
            answers.refused.append((index, code))
    return answers
