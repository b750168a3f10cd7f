"""Throttling, queues and answers that do not come: nothing lost, nothing twice, nobody flooded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.quirks.expectations import (
    each_phone_once,
    everything_delivered,
    never_rebound,
    never_refused,
    no_phone_twice,
    settled,
)
from tests.quirks.scene import Case, Scene, eventually


async def slows_down(scene: Scene) -> None:
    await everything_delivered(scene)
    assert scene.log.throttled < scene.log.submits * 0.1, scene.log.as_json()


async def never_over_a_limit_that_is_known(scene: Scene) -> None:
    await everything_delivered(scene)
    assert scene.log.throttled <= scene.log.submits * 0.02, scene.log.as_json()


async def heeds_the_congestion(scene: Scene) -> None:
    await everything_delivered(scene)
    never_refused(scene)


async def finds_the_window(scene: Scene) -> None:
    await everything_delivered(scene)
    before = sum(scene.log.refused.values())
    # What was learnt stays: the next campaign hardly meets the limit.
    await scene.start(phones=scene.other_phones)
    await settled(scene)
    refused = sum(scene.log.refused.values()) - before
    assert before > 0
    assert refused < scene.case.messages / 4
    assert set(scene.log.by_destination.values()) == {1}


async def many_at_once(scene: Scene) -> None:
    await eventually(scene.bound)
    most = 0

    def nearly_full() -> bool:
        nonlocal most
        most = max(most, scene.carrier.in_flight())
        return most >= scene.profile.window_max - 1  # one place is reserved for what people wait for

    await scene.start()
    await eventually(nearly_full, lambda: f"never more than {most} under way at once")
    await scene.comes_to(accepted=scene.case.messages, delivered=scene.case.messages)
    each_phone_once(scene)
    never_rebound(scene)


async def unknown_and_not_sent_again(scene: Scene) -> None:
    await eventually(scene.bound)
    await scene.start()
    await settled(scene)
    unanswered = scene.smsc.injected["unanswered"]
    assert 0 < unanswered < scene.case.messages
    accepted = scene.case.messages - unanswered
    await scene.comes_to(accepted=accepted, unknown=unanswered, delivered=accepted)
    assert scene.carrier.in_flight() == 0
    each_phone_once(scene)
    never_rebound(scene)
    # No place of the window is lost: as much goes out again at once.
    await scene.start(phones=scene.other_phones)
    await settled(scene)


async def late_answers_break_nothing(scene: Scene) -> None:
    await eventually(scene.bound)
    await scene.start()
    await settled(scene)
    late = scene.smsc.injected["late"]
    assert 0 < late < scene.case.messages
    (connection,) = scene.carrier._connections.values()
    await eventually(lambda: connection.session.counts.stray_responses >= late)
    progress = await scene.progress()
    assert progress["accepted"] + progress["unknown"] == scene.case.messages
    no_phone_twice(scene)
    never_rebound(scene)


FLOW_CASES: Final[Mapping[str, Case]] = {
    "throttle-30": Case(never_over_a_limit_that_is_known, {"rate_per_s": 30}, messages=60),
    "throttle-unannounced": Case(slows_down, {"rate_per_s": 100}, messages=250),
    "queue-full": Case(finds_the_window, messages=40),
    "version-5.0-congestion": Case(
        heeds_the_congestion, {"interface_version": 0x50, "rate_per_s": 100}, messages=120
    ),
    "congestion-on-3.4": Case(heeds_the_congestion, {"rate_per_s": 100}, messages=120),
    "no-answer": Case(unknown_and_not_sent_again, {"response_timeout_s": 1.0}, messages=20),
    "slow-answers": Case(many_at_once, messages=60),
    "late-answers": Case(late_answers_break_nothing, {"response_timeout_s": 1.0}, messages=20),
    "temporary-refusals": Case(everything_delivered, messages=40),
}
