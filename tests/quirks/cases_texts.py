"""Texts both ways: phones read what was meant, and what they write comes once and whole."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from smsgate.flows.records import Lane
from tests.links.fake_smsc import an_account, until
from tests.quirks.expectations import (
    all_receipts_answered,
    answers_came,
    everything_delivered,
    never_refused,
    phones_read,
    texts_arrive,
)
from tests.quirks.scene import Case, Scene, eventually

# 140 octets of Latin-1 at most, and without the euro sign, which it lacks.
LATIN1_TEXT: Final = (
    "Boxman: CD Madonna 19,90 EUR port compris. Répondez OK = commande avec obligation de paiement. "
    "Rétractation 14 j. Infos bxm.fr STOP 38123"
)
assert len(LATIN1_TEXT) <= 140
# One segment in the Portuguese single shift table, three in UCS-2.
CEDILLA_TEXT: Final = (
    "Boxman: CD Madonna 19,90€ port compris, reçu en 2 jours. Répondez OK = commande avec obligation de "
    "paiement. Rétractation 14 j. bxm.fr/m1 STOP 36111"
)


# Surrogate pairs and a flag of two of them at every place where a part may end.
EMOJI_TEXT: Final = "Boxman: 🎵" + "🇫🇷🎵" * 40
LONG_TEXT: Final = "Boxman: votre colis est au point relais, 12 rue de la Paix, code 4711. " * 5


async def a_forged_receipt_is_a_text(scene: Scene) -> None:
    await eventually(scene.bound)
    await scene.start()
    await scene.comes_to(accepted=scene.case.messages, failed=scene.case.messages)

    async def written_down() -> bool:
        return len(await scene.inbound()) == scene.case.messages

    await eventually(written_down)
    assert all("stat:DELIVRD" in each["text"] for each in await scene.inbound())
    await all_receipts_answered(scene)
    await scene.comes_to(accepted=scene.case.messages, failed=scene.case.messages)


async def one_event_for_one_text(scene: Scene) -> None:
    await texts_arrive(scene)
    copies = scene.faults.mo_copies * len(scene.phones)
    await eventually(lambda: scene.log.mos_acknowledged == copies)
    await asyncio.sleep(0.3)  # what a repetition would have become would be there
    await answers_came(scene, scene.faults.mo_answer)


async def kept_while_the_store_is_away(scene: Scene) -> None:
    await everything_delivered(scene)
    await answers_came(scene, scene.faults.mo_answer)
    assert scene.wire is not None
    scene.wire.cut()
    text = "Et maintenant ?"
    mo = scene.simulator.smsc.send_mo(scene.phones[0], scene.sender, text)
    await asyncio.sleep(0.5)  # the absence itself
    assert not mo.taken, "nothing may be acknowledged that is not stored"
    scene.wire.mend()
    await eventually(lambda: mo.taken)
    assert not scene.log.deliver_refused

    async def there() -> bool:
        return [each["text"] for each in await scene.inbound()].count(text) == 1

    await eventually(there)


async def letters_have_their_ton(scene: Scene) -> None:
    await everything_delivered(scene)
    # No offer goes out from a sender that nobody can answer, so the link itself is asked.
    async with an_account(scene.profile) as (account, recorder):
        bodies = account.bodies("BOXMAN", scene.phones, [b"Bonjour"] * len(scene.phones), 0)
        assert account.submit(bodies, list(range(len(bodies))), Lane.INTERACTIVE) == len(bodies)
        await until(lambda: len(recorder.statuses) == len(bodies))
        assert set(recorder.statuses) == {0}
    never_refused(scene)


async def a_phone_without_the_table_shows_the_letter_below(scene: Scene) -> None:
    """TS 23.038: a character of an unknown table shows as what stands at its place in the usual one."""
    await everything_delivered(scene)
    shown = CEDILLA_TEXT.replace("ç", "Ç")
    assert [scene.texts(msisdn) for msisdn in scene.phones] == [[shown]] * len(scene.phones)
    await each_part_can_be_read_by_itself(scene)


async def each_part_can_be_read_by_itself(scene: Scene) -> None:
    """Without headers the parts of a long text are messages of their own: no character is cut in two."""
    body = {"to": f"+{scene.phones[0]}", "text": EMOJI_TEXT, "sender": scene.sender}
    queued = await scene.api.call("POST", "/v1/messages", body)
    await eventually(lambda: len(scene.texts(scene.phones[0])) == 1 + queued["segments"])
    parts = scene.texts(scene.phones[0])[1:]
    assert len(parts) > 2
    assert sorted("".join(parts)) == sorted(EMOJI_TEXT)  # whatever came first
    assert not any("\ufffd" in part or "\ud83c" in part for part in parts)


async def a_long_text_comes_whole(scene: Scene) -> None:
    await accepted_as_the_carrier_wants_it(scene)
    body = {"to": f"+{scene.phones[0]}", "text": LONG_TEXT, "sender": scene.sender}
    queued = await scene.api.call("POST", "/v1/messages", body)
    assert queued["segments"] == 3
    await eventually(lambda: scene.texts(scene.phones[0])[1:] == [LONG_TEXT])
    never_refused(scene)


async def accepted_as_the_carrier_wants_it(scene: Scene) -> None:
    await everything_delivered(scene)
    never_refused(scene)


MO_CASES: Final[Mapping[str, Case]] = {
    "mo-parts-shuffled": Case(texts_arrive, messages=5),
    "mo-parts-over-binds": Case(texts_arrive, {"binds": 3}, messages=5),
    "mo-udh-16-bit": Case(texts_arrive, messages=3),
    "mo-sar": Case(texts_arrive, messages=3),
    "mo-shift-table": Case(texts_arrive, messages=3),
    "mo-port-element-first": Case(texts_arrive, messages=3),
    "mo-same-reference": Case(texts_arrive, messages=10),
    "mo-cut-surrogates": Case(texts_arrive, messages=3),
    "mo-cut-escapes": Case(texts_arrive, messages=3),
    "mo-in-payload": Case(texts_arrive, messages=3),
    "udhi-in-payload": Case(texts_arrive, messages=3),
    "mo-forged-receipt": Case(a_forged_receipt_is_a_text, messages=3),
    "mo-repeated": Case(one_event_for_one_text, messages=3),
    "mo-lost-on-0x64": Case(kept_while_the_store_is_away, messages=3, on_a_wire=True),
}

TEXT_CASES: Final[Mapping[str, Case]] = {
    "latin1-default-alphabet": Case(
        phones_read, {"default_alphabet": "latin1"}, messages=3, text=LATIN1_TEXT
    ),
    "gsm-as-data-coding-1": Case(phones_read, {"gsm_data_coding": 1}, messages=3),
    "packed-7-bit": Case(phones_read, {"packed": True}, messages=3),
    "udh-stripped": Case(
        a_phone_without_the_table_shows_the_letter_below,
        {"shift": ["single:pt"]},
        messages=3,
        text=CEDILLA_TEXT,
    ),
    "refuses-udh": Case(a_long_text_comes_whole, {"concat": "sar"}, messages=3),
    "refuses-validity": Case(accepted_as_the_carrier_wants_it, {"validity": "none"}),
    "vendor-tlvs-required": Case(
        accepted_as_the_carrier_wants_it,
        {"tlvs_out": [{"tag": 0x1400, "value": "1101456780000012345"}, {"tag": 0x1401, "value": "1107"}]},
    ),
    "alphanumeric-ton": Case(letters_have_their_ton, messages=3),
}
