"""Ids of receipts and responses: what is the same message, and when nobody may say so."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.protocol.message_ids import (
    ALL_FORMS,
    DECIMALS_MIN,
    Fit,
    IdForm,
    ReceiptIds,
    convert,
    fold,
    folded_differs,
    forms_of,
    is_sure,
)

IDS = st.binary(min_size=1, max_size=65)
AUTO = IdForm.AUTO


class Open:
    """Messages by the ids of their responses, as `Known` wants them."""

    def __init__(self, *ids: bytes) -> None:
        self.ids = ids

    def exact(self, message_id: bytes) -> bytes | None:
        return message_id if message_id in self.ids else None

    def folded(self, message_id: bytes) -> bytes | None:
        found = {each for each in self.ids if fold(each) == message_id}
        return found.pop() if len(found) == 1 else None


def found(ids: ReceiptIds, known: Open, message_id: bytes, other_id: bytes = b"") -> bytes | None:
    fit = ids.fit(message_id, other_id, known)
    return None if fit is None else fit.found


@pytest.mark.parametrize(
    ("response", "receipt", "id_resp", "id_receipt"),
    [
        (b"38601fa", b"59113978", "as_is", "dec_to_hex"),
        (b"038601FA", b"0059113978", "as_is", "dec_to_hex"),
        (b"38601fa", b"59113978", "hex_to_dec", "as_is"),
        (b"59113978", b"38601FA", "as_is", "hex_to_dec"),
        (b"59113978", b"38601fa", "dec_to_hex", "as_is"),
        (b"38601fa", b"00038601FA", "as_is", "as_is"),
        (b"38601fa", b"38601FA", "hex_to_dec", "hex_to_dec"),
        (b"9999999999999999999", b"8ac7230489e7ffff", "as_is", "hex_to_dec"),  # jasmin issue 586
        (b"0a1b-22_x", b"0A1B-22_X", "as_is", "as_is"),
        (b"7" * 64, b"7" * 64, "as_is", "as_is"),
    ],
)
def test_a_receipt_finds_its_message_whatever_base_case_and_padding(
    response: bytes, receipt: bytes, id_resp: str, id_receipt: str
) -> None:
    told = ReceiptIds(forms_of(IdForm(id_resp), IdForm(id_receipt)))
    assert found(told, Open(response, b"1"), receipt) == response
    assert found(ReceiptIds(), Open(response, b"1"), receipt) == response


def test_two_keys_that_never_meet_have_no_form() -> None:
    assert forms_of(IdForm.HEX_TO_DEC, IdForm.DEC_TO_HEX) == ()
    assert forms_of(IdForm.DEC_TO_HEX, IdForm.HEX_TO_DEC) == ()


def test_what_fits_two_messages_in_two_forms_is_nobodys_until_the_form_is_known() -> None:
    known = Open(b"10", b"16")
    ids = ReceiptIds()
    assert found(ids, known, b"10") is None
    assert ids.learn(Counter({IdForm.HEX_TO_DEC: 3}))
    assert found(ids, known, b"10") == b"16"
    assert str(ids) == "hex_to_dec, learned"


def test_what_means_one_message_in_every_form_is_that_message_and_proves_no_form() -> None:
    assert ReceiptIds().fit(b"7", b"", Open(b"7")) == Fit(b"7", None)
    assert ReceiptIds().fit(b"10", b"", Open(b"10")) == Fit(b"10", IdForm.AS_IS)


def test_zeros_alone_are_a_number_too() -> None:
    assert found(ReceiptIds(), Open(b"0", b"1"), b"000") == b"0"
    assert found(ReceiptIds(), Open(b"0000"), b"0") == b"0000"


def test_two_spellings_that_are_both_open_are_told_apart_by_their_octets_alone() -> None:
    known = Open(b"aB3", b"Ab3")
    ids = ReceiptIds((IdForm.AS_IS,))
    assert found(ids, known, b"aB3") == b"aB3"
    assert found(ids, known, b"Ab3") == b"Ab3"
    assert found(ids, known, b"AB3") is None


def test_the_tlvs_id_is_tried_before_the_texts_and_both_are_tried() -> None:
    ids = ReceiptIds((IdForm.AS_IS,))
    assert found(ids, Open(b"38601fa"), b"38601fa", b"59113978") == b"38601fa"
    assert found(ids, Open(b"59113978"), b"38601fa", b"59113978") == b"59113978"
    assert found(ids, Open(b"other"), b"38601fa", b"other") == b"other"
    assert found(ids, Open(b"t", b"x"), b"t", b"x") == b"t"


def test_of_one_number_in_two_bases_the_one_is_converted_that_the_form_is_about() -> None:
    """TLV 10 and text 16 are sixteen; read as a decimal, the TLV would be somebody else's 0xa."""
    ids = ReceiptIds((IdForm.DEC_TO_HEX,))
    assert found(ids, Open(b"10", b"a"), b"10", b"16") == b"10"
    ids = ReceiptIds((IdForm.HEX_TO_DEC,))
    assert found(ids, Open(b"16", b"22"), b"16", b"10") == b"16"


@pytest.mark.parametrize("message_id", [b"", b"0", b"000", b"\0", b"\xff\xfe", b"x" * 65])
def test_an_id_that_names_nothing_matches_nothing_and_never_raises(message_id: bytes) -> None:
    for forms in ((form,) for form in ALL_FORMS):
        assert found(ReceiptIds(forms), Open(b"1", b"a"), message_id) is None
    assert found(ReceiptIds(), Open(b"1", b"a"), message_id, b"") is None


@given(IDS, IDS, st.sampled_from([*[(form,) for form in ALL_FORMS], ALL_FORMS]))
def test_any_octets_are_compared_without_an_error(
    message_id: bytes, other_id: bytes, forms: tuple[IdForm, ...]
) -> None:
    ids = ReceiptIds(forms)
    ids.see([other_id], [message_id])
    assert found(ids, Open(), message_id, other_id) is None
    assert b"" not in ids.keys(message_id, other_id)


@given(st.integers(1, 10**40), st.integers(0, 20), st.booleans())
def test_base_case_and_padding_never_part_a_message_from_its_receipt(
    number: int, zeros: int, upper: bool
) -> None:
    hexadecimal = b"0" * zeros + b"%x" % number
    hexadecimal = hexadecimal.upper() if upper else hexadecimal
    decimal = b"0" * zeros + b"%d" % number
    assert convert(decimal, IdForm.DEC_TO_HEX) == fold(hexadecimal)
    assert convert(hexadecimal, IdForm.HEX_TO_DEC) == fold(decimal)


@given(st.lists(IDS, max_size=8))
def test_one_look_tells_whether_any_id_of_a_read_is_spelled_differently(message_ids: list[bytes]) -> None:
    if any(fold(each) != each for each in message_ids):
        assert folded_differs(message_ids)


def test_short_numbers_prove_little_and_long_or_opaque_ids_much() -> None:
    assert not is_sure(b"123456")
    assert not is_sure(b"0000123456")
    assert is_sure(b"1234567")
    assert is_sure(b"id-1")


@pytest.mark.parametrize(
    ("votes", "form"),
    [
        ({}, None),
        ({IdForm.AS_IS: 2}, None),
        ({IdForm.AS_IS: 3}, IdForm.AS_IS),
        ({IdForm.DEC_TO_HEX: 30, IdForm.AS_IS: 3}, IdForm.DEC_TO_HEX),
        ({IdForm.DEC_TO_HEX: 5, IdForm.AS_IS: 5}, None),
        ({IdForm.DEC_TO_HEX: 8, IdForm.AS_IS: 1}, None),
    ],
)
def test_a_form_is_learned_from_a_clear_majority_only(votes: dict[IdForm, int], form: IdForm | None) -> None:
    ids = ReceiptIds()
    assert ids.learn(Counter(votes)) is (form is not None)
    assert ids.form is form


def test_a_form_that_is_told_or_learned_stays() -> None:
    ids = ReceiptIds((IdForm.AS_IS,))
    assert not ids.learn(Counter({IdForm.DEC_TO_HEX: 100}))
    assert (ids.form, str(ids)) == (IdForm.AS_IS, "as_is")


def numbers(form: str, first: int = 1) -> list[bytes]:
    return [(form % number).encode() for number in range(first, first + DECIMALS_MIN)]


@pytest.mark.parametrize(
    ("responses", "receipts", "form"),
    [
        ("%d", "%d", IdForm.AS_IS),
        ("%x", "%x", IdForm.AS_IS),
        ("%x", "%d", IdForm.DEC_TO_HEX),
        ("%08X", "%010d", IdForm.DEC_TO_HEX),
        ("%d", "%x", IdForm.HEX_TO_DEC),
    ],
)
def test_the_digits_of_many_ids_tell_the_form_of_short_ones(
    responses: str, receipts: str, form: IdForm
) -> None:
    ids = ReceiptIds()
    ids.see(numbers(responses), numbers(receipts))
    known = Open(*numbers(responses))
    fits = [ids.fit(each, b"", known) for each in numbers(receipts)]
    assert [fit and fit.found for fit in fits] == numbers(responses)
    assert {fit.form for fit in fits if fit} == {form}
    assert ids.form is None  # digits exclude, only fits teach


def test_opaque_ids_say_nothing_about_bases() -> None:
    ids = ReceiptIds()
    ids.see([b"id-1"], numbers("%d"))
    assert found(ids, Open(b"a"), b"10") == b"a"


@pytest.mark.parametrize("form", ALL_FORMS)
def test_an_id_of_thousands_of_digits_is_looked_for_like_any_other(form: IdForm) -> None:
    endless = b"9" * 5_000  # more than Python reads as a number
    for ids in (ReceiptIds((form,)), ReceiptIds()):
        assert ids.fit(endless, b"", Open(b"77")) is None
        assert endless not in ids.column([b"77", endless])[:1]
        ids.keys(endless, endless)
