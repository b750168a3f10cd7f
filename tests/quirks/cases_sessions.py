"""Sessions, framing, PDUs and TLS: the link lives, or comes back, and every message is accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from smsgate.protocol.commands import CommandId
from smsgate.protocol.frames import FrameDecoder
from smsgate.protocol.pdus import Pdu, decode_pdu
from smsgate.simulator.faulty_octets import ODD_FIELDS
from tests.quirks.expectations import (
    everything_accounted,
    everything_delivered,
    never_refused,
    refusals_counted,
    refuses_to_bind,
)
from tests.quirks.ground import PHONES
from tests.quirks.scene import Case, Scene, eventually

# Silence is noticed after the one and the other.
IMPATIENT: Final[Mapping[str, Any]] = {"enquire_interval_s": 0.5, "response_timeout_s": 1.0}


async def asked_before_bound(scene: Scene) -> None:
    await everything_delivered(scene)
    assert scene.smsc.client["answered_before_bound"] == 1
    assert not scene.smsc.client["asked_before_bound"]


async def the_flood_is_answered(scene: Scene) -> None:
    await everything_delivered(scene)
    smsc = scene.smsc
    await eventually(lambda: smsc.client["enquire_links_answered"] > 200)
    assert smsc.enquiry_s_max < 1.0


async def the_body_does_not_matter(scene: Scene) -> None:
    await everything_delivered(scene)
    await eventually(lambda: scene.smsc.client["enquire_links_answered"] > 3)
    assert scene.process.gateway is not None
    await scene.process.gateway.switchboard.drain(2.0)
    assert {bind.state for bind in scene.binds()} == {"closed"}
    assert {bind.last_error for bind in scene.binds()} == {"unbound"}


async def silence_is_noticed(scene: Scene) -> None:
    await everything_accounted(scene)
    assert "silent" in scene.log_lines.getvalue()
    assert (await scene.progress())["unknown"] == scene.case.messages - scene.log.accepted


async def backs_off_until_it_may_bind(scene: Scene) -> None:
    await everything_accounted(scene)
    assert 0 < scene.smsc.injected["already_bound"] <= 10
    assert "bind_credentials_refused" not in scene.log_lines.getvalue()
    await scene.start(phones=PHONES[100:105])
    await scene.comes_to(recipients=5, accepted=5, delivered=5)


async def leaves_when_asked(scene: Scene) -> None:
    """Nothing is unknown: what was open was answered before the session ended."""
    await eventually(scene.bound)
    await scene.start()
    await scene.comes_to(accepted=scene.case.messages, delivered=scene.case.messages)
    await eventually(scene.bound)
    assert scene.log.binds == 2
    assert scene.smsc.injected["end_unbind"] == 1
    assert scene.log.by_destination == dict.fromkeys(scene.phones, 1)


async def rebinds_before_the_limit(scene: Scene) -> None:
    await eventually(scene.bound)
    await scene.start()
    await scene.comes_to(accepted=scene.case.messages, delivered=scene.case.messages)
    never_refused(scene)
    assert scene.log.by_destination == dict.fromkeys(scene.phones, 1)
    assert scene.log.binds >= 3


async def unknown_requests_are_nacked(scene: Scene) -> None:
    await everything_delivered(scene)
    smsc = scene.smsc
    assert smsc.injected["extra_pdus"] == 4 + scene.case.messages  # after the bind, and after each message
    requests = sum(not command_id & 0x8000_0000 for command_id, _ in smsc.faults.extra_pdus)
    expected = requests + scene.case.messages * requests // len(smsc.faults.extra_pdus)
    await eventually(lambda: smsc.client["generic_nacks"] == expected, lambda: str(smsc.client))


async def no_answer_to_an_alert(scene: Scene) -> None:
    await everything_delivered(scene)
    assert scene.faults.extra_pdus[0][0] == CommandId.ALERT_NOTIFICATION
    await eventually(lambda: scene.carrier.counts.alerts == 1 + scene.case.messages)
    assert not scene.smsc.client["answered_what_has_no_answer"]
    assert not scene.smsc.client["generic_nacks"]


async def unknown_tlvs_are_kept_as_octets(scene: Scene) -> None:
    await everything_delivered(scene)
    for command_id in (CommandId.SUBMIT_SM_RESP, CommandId.DELIVER_SM):
        kept = pdus_from(scene, command_id)
        assert len(kept) >= scene.case.messages
        assert all(set(scene.faults.tlvs) <= set(pdu.tlvs) for pdu in kept)


async def odd_fields_are_kept(scene: Scene) -> None:
    await everything_delivered(scene)
    kept = pdus_from(scene, CommandId.DELIVER_SM)
    assert len(kept) >= scene.case.messages
    assert all(ODD_FIELDS.items() <= pdu.fields.items() for pdu in kept)


def pdus_from(scene: Scene, command_id: int) -> list[Pdu]:
    """Return what of this kind came, as the bind's ring has it for the operator."""
    frames = [
        frame
        for pdu in scene.carrier.traced()
        if not pdu.outgoing
        for frame in FrameDecoder().feed(pdu.octets)
    ]
    return [decode_pdu(frame) for frame in frames if frame.command_id == command_id]


async def other_protocols_are_dropped(scene: Scene) -> None:
    await everything_delivered(scene)
    assert scene.smsc.injected["first_octets"] == 2


SESSION_CASES: Final[Mapping[str, Case]] = {
    "enquire-before-bind-response": Case(asked_before_bound),
    "enquire-flood": Case(the_flood_is_answered, {"enquire_interval_s": 0.1}, messages=50),
    "enquire-with-body": Case(the_body_does_not_matter),
    "half-open": Case(silence_is_noticed, IMPATIENT),
    "already-bound-after-loss": Case(
        backs_off_until_it_may_bind,
        {"rebind": {"lost_s": (0.05, 0.1), "already_bound_s": (0.5, 1.0)}},
    ),
    "unbind-by-smsc": Case(leaves_when_asked),
    "unbind-with-body": Case(leaves_when_asked),
    "disconnect-mid-pdu": Case(everything_accounted),
    "messages-per-bind": Case(rebinds_before_the_limit, {"max_messages_per_bind": 15}, messages=50),
    "version-missing": Case(everything_delivered),
    "version-3.3": Case(everything_delivered, {"interface_version": 0x33}),
    "version-3.4-only": Case(everything_delivered),
    "version-5.0": Case(everything_delivered, {"interface_version": 0x50}),
    "tls-self-signed": Case(refuses_to_bind, messages=0),
    "tls-wrong-name": Case(refuses_to_bind, messages=0),
    "tls-expired": Case(refuses_to_bind, messages=0),
    "tls-good": Case(everything_delivered),
}

PDU_CASES: Final[Mapping[str, Case]] = {
    "sequence-zero": Case(everything_delivered),
    "sequence-above-31-bits": Case(everything_delivered, messages=20),
    "errors-with-body": Case(refusals_counted, messages=30),
    "responses-without-body": Case(refusals_counted, messages=20),
    "trailing-garbage": Case(everything_delivered),
    "cut-tlv": Case(everything_delivered),
    "unknown-tlvs": Case(unknown_tlvs_are_kept_as_octets),
    "vendor-status": Case(refusals_counted, messages=20),
    "vendor-commands": Case(unknown_requests_are_nacked, messages=20),
    "http-on-the-port": Case(other_protocols_are_dropped),
    "giant-length": Case(everything_accounted),
    "zero-length": Case(everything_accounted),
    "octets-one-by-one": Case(everything_delivered),
    "alert-notification": Case(no_answer_to_an_alert),
    "odd-fields": Case(odd_fields_are_kept),
}
