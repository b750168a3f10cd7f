"""Public ids: opaque, of one kind, of one instance."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.errors import NotFound
from smsgate.security import base62
from smsgate.security.public_ids import ID_MAX, KEPT_MAX, Kind, PublicIds

KEY = bytes(range(32))
IDS = PublicIds(KEY)


@given(st.sampled_from(Kind), st.integers(0, ID_MAX))
def test_an_id_reads_back_and_has_one_form(kind: Kind, id_: int) -> None:
    text = IDS.encode(kind, id_)
    assert re.fullmatch(rf"{kind.value}_[0-9A-Za-z]{{22}}", text)
    assert IDS.decode(kind, text) == id_
    assert PublicIds(KEY).encode(kind, id_) == text


def test_the_known_form_of_one_id_never_changes() -> None:
    """A public id is stored by shops: a change of this line breaks them."""
    assert IDS.encode(Kind.ORDER, 1) == "ord_4SM5xMC6jN0nK0nRvRX2rZ"


def test_prefixes_are_three_letters_and_each_once() -> None:
    assert {kind.value for kind in Kind} == set(
        re.findall("...", "merkeysubconimpofrcmpmsginbordevtwhedlvtrgprlpristmcaresmdatdocpstreckwd")
    )


@pytest.mark.parametrize("kind", Kind)
def test_no_kind_reads_the_id_of_another(kind: Kind) -> None:
    text = IDS.encode(kind, 4_711)
    for other in set(Kind) - {kind}:
        with pytest.raises(NotFound):
            IDS.decode(other, text)
        with pytest.raises(NotFound):
            IDS.decode(other, other.value + text[3:])


def test_neighbouring_ids_show_neither_order_nor_distance() -> None:
    texts = IDS.encode_many(Kind.ORDER, range(1 << 40, (1 << 40) + 500))
    assert texts != sorted(texts)
    assert len({text[4:8] for text in texts}) > 490


def test_another_instances_id_is_not_found() -> None:
    with pytest.raises(NotFound):
        IDS.decode(Kind.ORDER, PublicIds(bytes(32)).encode(Kind.ORDER, 1))


@given(st.text(max_size=40) | st.from_regex(r"ord_[0-9A-Za-z]{22}", fullmatch=True))
def test_foreign_text_is_not_found(text: str) -> None:
    with pytest.raises(NotFound):
        IDS.decode(Kind.ORDER, text)


def test_a_change_of_any_character_is_not_found() -> None:
    text = IDS.encode(Kind.ORDER, 99)
    for place in range(len(text)):
        for other in "0z_-\n\u0663":
            if text[place] != other:
                with pytest.raises(NotFound):
                    IDS.decode(Kind.ORDER, text[:place] + other + text[place + 1 :])


def test_a_word_beyond_128_bits_is_not_found() -> None:
    """62**22 exceeds 2**128: without the check one id would have two texts."""
    value = base62.decode(IDS.encode(Kind.ORDER, 5)[4:])
    assert value is not None
    for word in (value + 2**128, 62**22 - 1):
        with pytest.raises(NotFound):
            IDS.decode(Kind.ORDER, "ord_" + base62.encode(word, 22))


@given(st.integers(0, 2**128 - 1))
def test_128_bits_are_written_as_any_other_number_is(value: int) -> None:
    text = base62.encode_128(value)
    assert text == base62.encode(value, base62.WIDTH_128)
    assert base62.decode(text) == value


def test_no_more_than_so_many_public_ids_are_kept() -> None:
    ids = PublicIds(KEY)
    texts = [ids.encode(Kind.EVENT, id_) for id_ in range(2 * KEPT_MAX + 1)]
    assert len(ids._kept[Kind.EVENT]) <= KEPT_MAX
    assert texts == ids.encode_many(Kind.EVENT, range(2 * KEPT_MAX + 1))


@given(st.lists(st.integers(0, ID_MAX), max_size=30))
def test_a_column_is_encoded_as_its_ids_one_by_one(ids: list[int]) -> None:
    assert IDS.encode_many(Kind.MESSAGE, ids) == [IDS.encode(Kind.MESSAGE, id_) for id_ in ids]


def test_a_column_costs_a_few_microseconds_an_id() -> None:
    """Twenty times what an idle machine needs: finds a slow design, not a busy neighbour."""
    started = time.process_time()
    IDS.encode_many(Kind.MESSAGE, range(10_000))
    assert time.process_time() - started < 0.3
