from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.campaigns.rendering import (
    compile_text,
    field_names,
    filled,
    render,
    render_cheapest,
    worst_case_septets,
)
from smsgate.errors import Invalid, TextError
from smsgate.protocol.encodings import GSM, UCS2, Alphabet, permitted
from smsgate.protocol.gsm0338 import decode_gsm, encode_gsm
from smsgate.protocol.mo_text import read_mo
from smsgate.protocol.shift_tables import Shift

PORTUGUESE = Alphabet("gsm7", Shift(single=3))


def test_columns_go_in_and_one_column_of_septets_comes_out() -> None:
    parts = compile_text("{name}, votre code {code}. Ok {name}?", {"name", "code", "other"})
    rendered = render(parts, {"name": ["Zoé", "Léo"], "code": ["€1", "2"]}, 2)
    assert [decode_gsm(t) for t in rendered.texts] == [
        "Zoé, votre code €1. Ok Zoé?",
        "Léo, votre code 2. Ok Léo?",
    ]
    assert rendered.reasons == [None, None]


def test_a_text_without_fields_is_one_object_for_all() -> None:
    rendered = render(compile_text("OK?", ()), {}, 3)
    assert rendered.texts == [encode_gsm("OK?")] * 3
    assert rendered.texts[0] is rendered.texts[2]


@pytest.mark.parametrize(
    "text", ["{{7*7}}", "${7*7}", "{7}", "{a.b}", "%(a)s", "{a!r}", "{__class__}", "{", "}{", "#{1}"]
)
def test_what_is_no_field_stays_as_typed(text: str) -> None:
    assert decode_gsm(render(compile_text(text, {"a"}), {}, 1).texts[0]) == text


def test_values_are_never_read_again() -> None:
    rendered = render(compile_text("{a}{b}", {"a", "b"}), {"a": ["{b}"], "b": ["{a}"]}, 1)
    assert decode_gsm(rendered.texts[0]) == "{b}{a}"


def test_an_unknown_field_is_refused_at_creation() -> None:
    with pytest.raises(Invalid) as caught:
        compile_text("Bonjour {nom}", {"name"})
    assert caught.value.code == "field_unknown"


def test_a_text_that_can_never_fit_or_be_encoded_is_refused_at_creation() -> None:
    with pytest.raises(Invalid) as too_long:
        compile_text("a" * 161, ())
    with pytest.raises(TextError) as costly:
        compile_text("ça", ())
    assert (too_long.value.code, costly.value.code) == ("text_too_long", "charset_ucs2")


def test_one_recipient_is_refused_with_its_reason_and_the_others_are_not() -> None:
    parts = compile_text("a" * 150 + "{x}", {"x"})
    rendered = render(parts, {"x": ["1" * 10, "1" * 11, "ç", "", "€" * 5, "€" * 6]}, 6)
    assert rendered.reasons == [None, "text_too_long", "charset_ucs2", "field_empty", None, "text_too_long"]
    assert [bool(text) for text in rendered.texts] == [True, False, False, False, True, False]


def test_the_worst_case_counts_every_place() -> None:
    parts = compile_text("{x} et {x}", {"x"})
    assert worst_case_septets(parts, {"x": 20}) == 44
    assert field_names("{x} et {x}, {y}") == ("x", "y")


@given(st.lists(st.tuples(st.text(max_size=90), st.text(max_size=90)), max_size=20))
def test_every_row_has_a_text_of_at_most_160_septets_or_a_reason(rows: list[tuple[str, str]]) -> None:
    parts = compile_text("{a} - {b}", {"a", "b"})
    rendered = render(parts, {"a": [a for a, _ in rows], "b": [b for _, b in rows]}, len(rows))
    for (a, b), text, reason in zip(rows, rendered.texts, rendered.reasons, strict=True):
        assert (reason is None) == bool(text)
        assert len(text) <= 160
        assert reason is not None or decode_gsm(text) == f"{a} - {b}"


def test_gsm_is_taken_while_it_has_every_character() -> None:
    rendered = render_cheapest("Bonjour {a}", {"a": ["Zoé", "Max"]}, 2, permitted([Shift(single=3)]))
    assert rendered.alphabet == GSM
    assert rendered.texts == [encode_gsm("Bonjour Zoé"), encode_gsm("Bonjour Max")]


def test_one_name_outside_gsm_puts_the_whole_batch_into_the_table_that_has_it() -> None:
    columns = {"a": ["Zoé", "François", "Inês"]}
    rendered = render_cheapest("Bonjour {a}", columns, 3, permitted([Shift(single=3)]))
    assert rendered.alphabet == PORTUGUESE
    assert (rendered.alphabet.data_coding, rendered.alphabet.esm_class) == (0, 0x40)
    assert [read_mo(text, 0, 0x40).text for text in rendered.texts] == [
        f"Bonjour {name}" for name in columns["a"]
    ]


def test_a_sample_has_what_rendering_puts_in_though_a_value_reads_as_a_place() -> None:
    text, values = "{first_name} de {city}", {"first_name": "{city}", "city": "Lyon {first_name}"}
    rendered = render(compile_text(text, set(values)), {name: [value] for name, value in values.items()}, 1)
    assert filled(text, values) == decode_gsm(rendered.texts[0])
    assert filled("{first_name}, {age}", {"first_name": "Zoé"}) == "Zoé, {age}"


def test_the_alphabet_that_refuses_fewest_is_taken_and_the_refused_are_named() -> None:
    text = "x" * 60 + "{a}"
    columns = {"a": ["ç", "ç" * 20, "Ω" * 8 + "ж", "x" * 100]}
    rendered = render_cheapest(text, columns, 4, permitted([Shift(single=3)]))
    assert rendered.alphabet == PORTUGUESE
    assert rendered.reasons == [None, None, "charset_ucs2", "text_too_long"]
    without = render_cheapest(text, columns, 4, permitted([]))
    assert (without.alphabet, without.reasons.count(None)) == (UCS2, 2)


def test_a_segment_holds_160_155_152_septets_or_70_words_with_its_header_apart() -> None:
    ways = (GSM, PORTUGUESE, Alphabet("gsm7", Shift(3, 3)), UCS2)
    for alphabet, units in zip(ways, (160, 155, 152, 70), strict=True):
        full = render(compile_text("a" * units, (), (alphabet,)), {}, 1).texts[0]
        assert full == alphabet.header + alphabet.encode("a" * units)
        with pytest.raises(Invalid, match="one message holds"):
            compile_text("a" * (units + 1), (), (alphabet,))


def test_a_text_that_no_alphabet_holds_says_what_gsm_lacks() -> None:
    with pytest.raises(TextError) as refused:
        render_cheapest("ж" * 71, {}, 1, permitted([Shift(single=3)]))
    assert refused.value.characters == ("ж",)
