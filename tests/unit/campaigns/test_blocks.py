"""A block needs a clear phrase; each says why in one sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.campaigns.blocks import SAYS, block_case
from smsgate.campaigns.tables import table

# Words that are a whole sentence in their language, or no everyday word.
ALONE = {
    "asianajajani", "avukatim", "faleceu", "fallecio", "forbrugerombudsmanden", "forbrukertilsynet",
    "polisanmaler", "zmarl", "zmarla", "скончалась", "скончался", "توفي", "توفيت", "قاصر",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Wrong number!", "wrong_person"),
        ("mauvais numéro", "wrong_person"),
        ("My husband passed away last week", "death"),
        ("Il est décédé", "death"),
        ("mon mari est mort, arrêtez", "death"),
        ("this is a phone of a kid, he is a minor", "child"),
        ("c'est le portable de ma fille de 9 ans stop", "child"),
        ("Das ist ein Kind", "child"),
        ("I will file a complaint", "complaint"),
        ("je vais vous signaler à la CNIL", "complaint"),
        ("STOP ou mon avocat vous écrit", "complaint"),
        ("Verkeerd nummer, stop", "wrong_person"),
        ("Zły numer, proszę nie pisać", "wrong_person"),
        ("Vous: Неправильный номер", "wrong_person"),
        ("الرقم خطأ", "wrong_person"),
        ("O meu marido faleceu", "death"),
        ("Min mor er død", "death"),
        ("Hän on alaikäinen", "child"),
        ("Reşit değil, yazmayın", "child"),
        ("Złożę skargę do UOKiK", "complaint"),
        ("stop, I am the new owner of this number", "reassigned"),
        ("ce numéro a changé de propriétaire, stop", "reassigned"),
    ],
)
def test_a_case_is_told_from_a_wish(text: str, reason: str) -> None:
    found = block_case(text)
    assert found is not None
    assert found.reason == reason
    assert found.says.endswith(".")
    assert found.phrase in found.says


@pytest.mark.parametrize(
    "text",
    [
        "stop svp, je suis avocat et je n'ai pas le temps",
        "stop, mort de rire",
        "il est mort de rire stop",
        "stop reclamo",
        "stop advocaat (the drink)",
        "my phone is dead, stop",
        "telefonen er død, stop",
        "denuncia stop",
        "STOP",
        "child prices? stop",
        "stop, numéro de commande 7",
        "stop spam, c'est une honte",
        "underage drinking offers stop",
        "stop cnil",
        "ødelagt telefon",
        "",
    ],
)
def test_one_word_is_a_plain_stop(text: str) -> None:
    assert block_case(text) is None


def test_every_phrase_is_found_by_itself_for_its_reason_and_is_no_single_everyday_word() -> None:
    tables = table("blocks.toml")
    assert tables.keys() == SAYS.keys()
    seen: dict[str, str] = {}
    for reason, words in tables.items():
        for phrase in words["phrases"]:
            found = block_case(phrase)
            assert found is not None, phrase
            assert found.reason == reason, phrase
            assert seen.setdefault(phrase, reason) == reason
        assert all(block_case(phrase) is None for phrase in words.get("unless", ()))
    assert {phrase for phrase in seen if " " not in phrase} == ALONE


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    found = block_case(text)
    assert found is None or found.reason in SAYS
