"""Message ids and receipts: matched by 100 %, whatever they look like, and never wrongly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from smsgate.protocol.commands import Status
from tests.quirks.expectations import (
    all_receipts_answered,
    each_phone_once,
    everything_delivered,
    never_rebound,
    no_alarm,
    settled,
)
from tests.quirks.ground import PHONES
from tests.quirks.scene import Case, Scene, eventually


async def nothing_matches_an_empty_id(scene: Scene) -> None:
    await eventually(scene.bound)
    await scene.start()
    await settled(scene)
    await all_receipts_answered(scene)
    assert scene.log.receipts_written == scene.case.messages
    await scene.comes_to(accepted=scene.case.messages)
    each_phone_once(scene)
    never_rebound(scene)
    no_alarm(scene)


async def the_newest_message_of_an_id_wins(scene: Scene) -> None:
    await everything_delivered(scene)
    # Ids 1 to 16 come again: those of the last ten messages were used before by the first ten.
    first = scene.campaign
    await scene.start(phones=PHONES[10:20])
    await scene.comes_to(accepted=10, delivered=10)
    scene.campaign = first
    await scene.comes_to(accepted=10, delivered=10)


async def a_lost_id_is_accepted_all_the_same(scene: Scene) -> None:
    await eventually(scene.bound)
    await scene.start()
    await settled(scene)
    await all_receipts_answered(scene)
    lost = scene.smsc.injected["id_lost"]
    assert 0 < lost < scene.case.messages
    await scene.comes_to(accepted=scene.case.messages, delivered=scene.case.messages - lost)
    each_phone_once(scene)
    never_rebound(scene)
    no_alarm(scene)


async def another_bind_is_as_good(scene: Scene) -> None:
    await everything_delivered(scene)
    assert scene.smsc.injected["receipts_elsewhere"] == scene.case.messages


async def a_receipt_for_a_refused_message_is_answered(scene: Scene) -> None:
    await eventually(scene.bound)
    await scene.start()
    await settled(scene)
    await all_receipts_answered(scene)
    refused = scene.log.refused[Status.SUBMITFAIL]
    assert refused == scene.smsc.injected["receipts_for_refused"] > 0
    accepted = scene.case.messages - refused
    await scene.comes_to(refused=refused, accepted=accepted, delivered=accepted)

    async def counted() -> bool:
        return await scene.unmatched() == refused

    await eventually(counted)
    never_rebound(scene)
    no_alarm(scene)


async def a_final_state_stays(scene: Scene) -> None:
    await eventually(scene.bound)
    await scene.start()
    await settled(scene)
    await all_receipts_answered(scene)
    assert scene.log.receipts_written == 3 * scene.case.messages
    delivered, failed = scene.log.delivered, scene.log.undelivered
    assert delivered > 0 < failed
    await scene.comes_to(accepted=scene.case.messages, delivered=delivered, failed=failed)
    never_rebound(scene)


async def repetitions_change_nothing(scene: Scene) -> None:
    await everything_delivered(scene)
    assert scene.log.receipts_written == 4 * scene.case.messages


RECEIPT_CASES: Final[Mapping[str, Case]] = {
    "ids-hex-in-response": Case(everything_delivered),
    "ids-decimal-in-response": Case(everything_delivered),
    "ids-zero-padded": Case(everything_delivered),
    "ids-upper-case": Case(everything_delivered),
    "ids-both-forms": Case(everything_delivered),
    "ids-64-characters": Case(everything_delivered),
    "ids-with-dashes": Case(everything_delivered),
    "ids-with-underscores": Case(everything_delivered),
    "ids-empty": Case(nothing_matches_an_empty_id),
    "ids-reused": Case(the_newest_message_of_an_id_wins),
    "ids-lost": Case(a_lost_id_is_accepted_all_the_same),
    "receipt-before-response": Case(everything_delivered),
    "receipt-on-another-bind": Case(another_bind_is_as_good, {"binds": 2}),
    "receipt-for-refused": Case(
        a_receipt_for_a_refused_message_is_answered, {"throttle_statuses": [int(Status.THROTTLED)]}
    ),
    "receipt-text-only": Case(everything_delivered),
    "receipt-tlv-only": Case(everything_delivered),
    "receipt-esm-class-0": Case(everything_delivered),
    "receipt-marked-by-nothing": Case(everything_delivered, {"receipts": "text"}),
    "receipt-data-sm": Case(everything_delivered),
    "receipt-in-payload": Case(everything_delivered),
    "receipt-dialects": Case(everything_delivered, messages=18),
    "receipt-nul-and-high-octets": Case(everything_delivered),
    "receipt-intermediate-states": Case(everything_delivered),
    "receipts-out-of-order": Case(a_final_state_stays),
    "receipts-repeated": Case(repetitions_change_nothing),
}
