"""What the gateway ought to do about quirks, as far as several profiles share it."""

from __future__ import annotations

from smsgate.protocol.commands import Status
from tests.quirks.scene import PASSWORD, Scene, eventually


async def everything_delivered(scene: Scene) -> None:
    """Every message is accepted once and delivered, every receipt matched and answered; the bind stays."""
    await eventually(scene.bound)
    await scene.start()
    await scene.comes_to(accepted=scene.case.messages, delivered=scene.case.messages)
    await all_receipts_answered(scene)
    await eventually(lambda: no_unmatched(scene), "receipts stay unmatched")
    each_phone_once(scene)
    never_rebound(scene)


async def everything_accounted(scene: Scene) -> None:
    """
    Count every message once: as accepted and delivered, or as unknown; the carrier is bound again.

    None is refused, none is sent twice, and what was not even written goes out after the rebind.
    """
    await eventually(scene.bound)
    await scene.start()
    await settled(scene)
    await eventually(scene.bound)
    progress = await scene.progress()
    assert progress["accepted"] + progress["unknown"] == scene.case.messages, progress
    assert progress["accepted"] >= 4, progress  # the fifth answer ends the session
    await eventually(lambda: delivered_as_the_smsc_says(scene))
    no_phone_twice(scene)
    assert scene.log.binds > 1


async def refusals_counted(scene: Scene) -> None:
    """What the SMSC refused for good is refused, with its number; the rest is delivered; the bind stays."""
    await eventually(scene.bound)
    await scene.start()
    await settled(scene)
    refused = sum(scene.log.refused.values())
    assert 0 < refused < scene.case.messages
    accepted = scene.case.messages - refused
    await scene.comes_to(refused=refused, accepted=accepted, delivered=accepted)
    reasons = [message["reason"] for message in await scene.messages("refused")]
    for status, count in scene.log.refused.items():
        numbers = {f"0x{status:02x}", f"0x{status:x}", str(status)}
        assert sum(any(number in reason for number in numbers) for reason in reasons) == count, reasons
    await all_receipts_answered(scene)
    never_rebound(scene)


async def texts_arrive(scene: Scene) -> None:
    """Each phone's answer comes once and whole, whatever its parts look like; every part is answered."""
    await everything_delivered(scene)
    await answers_came(scene, scene.faults.mo_answer)


async def answers_came(scene: Scene, text: str) -> None:
    parts = len(scene.phones)

    async def all_there() -> bool:
        return len(await scene.inbound()) >= parts

    await eventually(all_there, "an MO did not come")
    found = await scene.inbound()
    assert [each["text"] for each in found] == [text] * parts
    assert {each["msisdn"] for each in found} == {f"+{msisdn}" for msisdn in scene.phones}
    await eventually(lambda: not scene.simulator.smsc.stats()["waiting"]["smsgate"])
    assert not scene.log.deliver_refused


async def phones_read(scene: Scene) -> None:
    """Phones show what was written, and what they write is read as they wrote it."""
    await everything_delivered(scene)
    assert [scene.texts(msisdn)[0] for msisdn in scene.phones] == [scene.case.text] * len(scene.phones)
    if scene.faults.mo_answer:
        await answers_came(scene, scene.faults.mo_answer)


async def refuses_to_bind(scene: Scene) -> None:
    """No octet of SMPP leaves: no bind, no password; the reason is told and an alarm is raised."""
    await eventually(lambda: "certificate" in scene.binds()[0].last_error)
    assert scene.log.binds == scene.log.binds_refused == 0
    assert not scene.bound()
    assert "certificate_refused" in scene.log_lines.getvalue()


# -- parts of them


async def settled(scene: Scene) -> None:
    """Wait until every message has an outcome."""

    async def all_settled() -> bool:
        progress = await scene.progress()
        outcomes = ("accepted", "refused", "unknown", "not_sent")
        return sum(progress[name] for name in outcomes) == scene.case.messages

    await eventually(all_settled, "a message has no outcome")


async def no_unmatched(scene: Scene) -> bool:
    return await scene.unmatched() == 0


async def delivered_as_the_smsc_says(scene: Scene) -> bool:
    """Return whether all messages with a known id are delivered, as they are by the SMSC's own count."""
    progress = await scene.progress()
    return progress["delivered"] == progress["accepted"] <= scene.log.delivered


async def all_receipts_answered(scene: Scene) -> None:
    log = scene.log
    await eventually(
        lambda: log.receipts_written == log.receipts_acknowledged + log.written_again > 0,
        lambda: f"{log.receipts_written} written, {log.receipts_acknowledged} answered",
    )
    assert not log.deliver_refused


def each_phone_once(scene: Scene) -> None:
    """No phone got the offer twice, and none that the SMSC accepted is missing."""
    if scene.faults.mo_answer:  # then the gateway writes to it again
        offers = [scene.texts(msisdn).count(scene.case.text) for msisdn in scene.phones]
        assert offers == [1] * len(scene.phones)
    else:
        assert scene.log.by_destination == dict.fromkeys(scene.phones, 1)


def no_phone_twice(scene: Scene) -> None:
    assert set(scene.log.by_destination.values()) == {1}
    assert set(scene.log.by_destination) <= set(scene.phones)


def never_rebound(scene: Scene) -> None:
    assert scene.log.binds == len(scene.binds())
    assert scene.bound()


def never_refused(scene: Scene, *statuses: int) -> None:
    """The SMSC refused nothing with these statuses, or nothing at all."""
    assert not scene.log.throttled or (statuses and Status.THROTTLED not in statuses)
    assert not [status for status in scene.log.refused if not statuses or status in statuses]


def no_alarm(scene: Scene) -> None:
    assert '"level":"error"' not in scene.log_lines.getvalue()


def nothing_leaks(scene: Scene) -> None:
    """No password, no text and no whole number of a person stands in the log, at its finest level."""
    log = scene.log_lines.getvalue()
    assert "bind_state" in log
    assert PASSWORD not in log
    assert scene.case.text[:30] not in log
    answer = scene.faults.mo_answer
    assert not answer or answer[:30] not in log
    assert not [msisdn for msisdn in scene.phones if str(msisdn) in log]
