"""What phones decide: no socket, no clock."""

from __future__ import annotations

import random
import tomllib
from importlib.resources import files

import pytest

from smsgate.campaigns.replies import Label, read_reply
from smsgate.errors import ConfigError, Invalid, NotFound
from smsgate.protocol.gsm0338 import encode_gsm
from smsgate.protocol.segmentation import segment
from smsgate.simulator.phone_texts import TEXTS, ReplyKind
from smsgate.simulator.phones import ANSWER_WAIT_S, Behaviour, Phones, ScriptStep
from smsgate.simulator.stops import StopJudge, is_offer, is_start, is_stop
from smsgate.simulator.submits import Submits

OFFERS = [
    "Boxman: CD Madonna 19,90€ port compris. Répondez OK = commande avec obligation de paiement. STOP 36111",
    "Boxman: Madonna CD £12.99 incl. post. Reply OK = order with obligation to pay. STOP to end",
    "Boxman: Madonna-skiva 149 kr inkl frakt. Svara OK = beställning med betalningsskyldighet. STOPP",
    "Le dernier disque de Madonna est en vente sur Boxman. Voulez-vous l'acheter ? Répondez par OK",
    "Want it? Text OK to order",
]
SYSTEM_TEXTS = [
    "Boxman: vous ne recevrez plus nos offres. START pour revenir.",
    "Boxman: OK, you will get no more offers from us.",
    "Boxman: commande A-17 prise: 1 x CD Madonna, 19,90€. Merci.",
    "Boxman: Thanks! Your order B-1 is confirmed, all OK.",
]
MIX = Behaviour(ok=0.2, quantity=0.1, stop=0.05, question=0.05, decline=0.1, auto=0.1)


def delivered(*messages: tuple[int, str, str]) -> Submits:
    """(msisdn, sender, text) as one batch that the SMSC delivered; long texts in parts."""
    batch = Submits()
    for msisdn, sender, text in messages:
        cut = segment(text, reference=7)
        for octets in cut.short_messages:
            batch.numbers.append(len(batch.numbers))
            batch.sources.append(sender.encode())
            batch.destinations.append(b"%d" % msisdn)
            batch.esm_classes.append(cut.esm_class)
            batch.data_codings.append(cut.data_coding)
            batch.texts.append(octets)
    return batch


def offered(behaviour: Behaviour, seed: int, phones: int = 2_000, first: int = 33639980000) -> Phones:
    crowd = Phones(behaviour, random.Random(seed))
    crowd.receive(delivered(*((first + i, "36111", OFFERS[0]) for i in range(phones))), 100.0)
    return crowd


def test_kinds_of_replies_come_in_their_shares() -> None:
    crowd = offered(MIX, seed=1)
    for kind, share in MIX.shares():
        assert abs(crowd.replies[kind] / 2_000 - share) < 0.03, kind
    assert sum(crowd.replies.values()) == crowd.offers_received == 2_000
    assert len(crowd.buyers) == crowd.replies[ReplyKind.OK] + crowd.replies[ReplyKind.QUANTITY]
    assert len(crowd.stopped) == crowd.replies[ReplyKind.STOP]
    assert crowd.pieces_ordered >= len(crowd.buyers) + crowd.replies[ReplyKind.QUANTITY]


def test_the_same_seed_gives_the_same_replies_and_another_seed_does_not() -> None:
    one, same, other = (offered(MIX, seed) for seed in (1, 1, 2))

    def said(crowd: Phones) -> list[list[str]]:
        return [[reply.text for reply in phone.sent] for phone in crowd._phones.values()]

    assert said(one) == said(same)
    assert said(one) != said(other)


@pytest.mark.parametrize("share", [{"ok": 0.6, "stop": 0.5}, {"ok": -0.1}, {"quantities": ()}])
def test_behaviour_that_cannot_be_is_refused(share: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Behaviour(**share)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", OFFERS)
def test_offers_are_recognised(text: str) -> None:
    assert is_offer(text)


@pytest.mark.parametrize("text", SYSTEM_TEXTS)
def test_system_texts_are_no_offers(text: str) -> None:
    assert not is_offer(text)
    assert (
        Phones(Behaviour(ok=1.0), random.Random(1)).receive(delivered((33639980001, "36111", text)), 0.0)
        == []
    )


def test_no_text_that_the_gateway_itself_writes_is_taken_for_an_offer() -> None:
    texts = tomllib.loads((files("smsgate.campaigns") / "texts.toml").read_text("utf-8"))
    written = [
        text for language in texts.values() if isinstance(language, dict) for text in language.values()
    ]
    assert len(written) > 20
    assert [text for text in written if is_offer(str(text))] == []


@pytest.mark.parametrize("language", ["fr", "en", "sv"])
def test_every_stop_that_phones_send_counts_as_stop_and_nothing_else_does(language: str) -> None:
    for kind, texts in TEXTS[language].items():  # type: ignore[index]
        for text in texts:
            assert is_stop(text.format(n=2, offer=OFFERS[0])) == (kind is ReplyKind.STOP), text
    assert is_start("START")
    assert not is_start("STOP")


@pytest.mark.parametrize("language", ["fr", "en", "sv"])
def test_the_gateway_reads_every_reply_as_its_phone_means_it(language: str) -> None:
    labels = {ReplyKind.OK: Label.ACCEPT, ReplyKind.QUESTION: Label.HELP}
    for kind, texts in TEXTS[language].items():  # type: ignore[index]
        label = labels.get(kind) or Label(kind.value)
        for text in texts:
            for offer in OFFERS[:3]:
                reading = read_reply(text.format(n=3, offer=offer), language)
                assert reading.label is label, text
                assert kind is not ReplyKind.QUANTITY or reading.quantity == 3


def test_a_phone_reads_the_answer_to_its_reply_in_silence_and_answers_the_next_offer() -> None:
    crowd = Phones(Behaviour(ok=1.0), random.Random(1))
    question = "Nothing ordered yet. Reply OK = order, STOP = no more messages"
    assert len(crowd.receive(delivered((447700900001, "36111", OFFERS[1])), 0.0)) == 1
    assert crowd.receive(delivered((447700900001, "36111", question)), 1.0) == []
    assert len(crowd.receive(delivered((447700900001, "36111", OFFERS[1])), 2.0)) == 1
    after = 2.0 + ANSWER_WAIT_S
    assert len(crowd.receive(delivered((447700900001, "36111", OFFERS[1])), after)) == 1


def test_a_phone_writes_its_owners_language() -> None:
    crowd = Phones(Behaviour(decline=1.0), random.Random(1))
    batch = delivered(*((msisdn, "36111", OFFERS[0]) for msisdn in (33639980001, 46701740605, 447700900001)))
    replies = crowd.receive(batch, 0.0)
    for reply, language in zip(replies, ("fr", "sv", "en"), strict=True):
        assert reply.text in TEXTS[language][ReplyKind.DECLINE]  # type: ignore[index]


def test_a_reply_goes_to_the_sender_after_a_delay_within_the_range() -> None:
    crowd = Phones(Behaviour(quantity=1.0, quantities=(4,), delay_s=(1.0, 2.0)), random.Random(1))
    (reply,) = crowd.receive(delivered((33639980001, "36222", OFFERS[0])), 0.0)
    assert (reply.to, reply.quantity, reply.kind) == ("36222", 4, ReplyKind.QUANTITY)
    assert "4" in reply.text
    assert 1.0 <= reply.delay_s <= 2.0


def test_nobody_can_answer_a_name() -> None:
    crowd = Phones(Behaviour(ok=1.0), random.Random(1))
    assert crowd.receive(delivered((33639980001, "Boxman", OFFERS[0])), 0.0) == []
    assert crowd.unanswerable == 1
    with pytest.raises(Invalid):
        crowd.by_hand(33639980001, "OK")


def test_a_long_text_reaches_the_inbox_in_one_piece_whatever_the_order_of_its_parts() -> None:
    crowd = Phones(Behaviour(), random.Random(1))
    text = "Votre commande est confirmée. " * 12
    batch = delivered((33639980001, "36111", text))
    order = list(reversed(range(len(batch))))
    for name in ("sources", "destinations", "esm_classes", "data_codings", "texts"):
        setattr(batch, name, [getattr(batch, name)[i] for i in order])
    crowd.receive(batch, 5.0)
    assert [(m.sender, m.text, m.received_at_s) for m in crowd.inbox(33639980001)] == [("36111", text, 5.0)]


def test_euro_and_ucs2_texts_are_read_as_written() -> None:
    crowd = Phones(Behaviour(), random.Random(1))
    for text in ("19,90€ [CD]", "Ça coûte 10 œufs"):
        crowd.receive(delivered((33639980001, "36111", text)), 0.0)
    assert [m.text for m in crowd.inbox(33639980001)] == ["19,90€ [CD]", "Ça coûte 10 œufs"]
    assert encode_gsm("€") == b"\x1b\x65"


def test_a_scripted_phone_follows_its_script_and_nothing_else() -> None:
    script = [ScriptStep("OK"), ScriptStep("STOP", on_containing="confirmée", delay_s=0.5)]
    crowd = Phones(Behaviour(decline=1.0), random.Random(1), {33639980001: script})

    def hear(text: str) -> list[tuple[str, float]]:
        batch = delivered((33639980001, "36111", text))
        return [(reply.text, reply.delay_s) for reply in crowd.receive(batch, 0.0)]

    assert hear(OFFERS[0]) == [("OK", 0.0)]
    assert hear("Merci, bien noté") == []
    assert hear("Commande CONFIRMÉE") == [("STOP", 0.5)]
    assert hear(OFFERS[0]) == []


def test_a_hand_answers_whoever_wrote_last() -> None:
    crowd = Phones(Behaviour(), random.Random(1))
    with pytest.raises(NotFound):
        crowd.by_hand(33639980001, "OK")
    with pytest.raises(NotFound):
        crowd.inbox(33639980001)
    crowd.receive(delivered((33639980001, "36111", "a"), (33639980001, "36222", "b")), 0.0)
    assert crowd.by_hand(33639980001, "OK").to == "36222"
    assert crowd.by_hand(33639980001, "OK", to="36111").to == "36111"
    assert crowd.replies[ReplyKind.OTHER] == 2


def test_the_phone_first_seen_is_forgotten_when_there_are_too_many() -> None:
    crowd = Phones(Behaviour(), random.Random(1), phones_max=2)
    crowd.receive(delivered(*((33639980000 + i, "36111", "x") for i in range(3))), 0.0)
    assert len(crowd) == 2
    with pytest.raises(NotFound):
        crowd.inbox(33639980000)
    assert crowd.received == 3


def test_the_judge_tells_a_proved_offer_after_stop_from_one_that_crossed_it() -> None:
    judge = StopJudge()
    epoch = judge.stopped(33639980001, b"36111", connection=1)
    for connection, fence in ((1, 0), (2, epoch), (2, epoch - 1)):
        judge.submitted(33639980001, b"36111", OFFERS[0], connection, fence)
    assert (judge.offers_after_stop, judge.offers_crossed) == (2, 1)
    judge.submitted(33639980001, b"36111", SYSTEM_TEXTS[0], 1, epoch)
    assert judge.offers_after_stop == 2


def test_a_later_stop_needs_a_later_fence() -> None:
    judge = StopJudge()
    first = judge.stopped(33639980001, b"36111", connection=1)
    second = judge.stopped(33639980002, b"36111", connection=1)
    judge.submitted(33639980002, b"36111", OFFERS[0], 2, first)
    assert (judge.offers_after_stop, judge.offers_crossed) == (0, 1)
    judge.submitted(33639980002, b"36111", OFFERS[0], 2, second)
    assert judge.offers_after_stop == 1


def test_start_lifts_a_stop() -> None:
    judge = StopJudge()
    judge.stopped(33639980001, b"36111", connection=1)
    judge.lifted(33639980001, b"36111")
    assert not judge.concerns(33639980001, b"36111")
