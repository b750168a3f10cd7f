"""Whose phones are simulated, who may write to them, and what that costs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.billing.prices import Direction
from smsgate.billing.rating import rate_columns
from smsgate.errors import Invalid
from smsgate.flows.ports_commerce import SenderInfo
from smsgate.flows.test_mode import PhoneBlock, check_phone, free_book, live_slug
from smsgate.msisdn import SIMULATED_BLOCKS, any_simulated, is_simulated, normalize, number_and_region

BLOCKS = st.integers(0, SIMULATED_BLOCKS - 1)


@given(BLOCKS, BLOCKS)
def test_blocks_of_simulated_phones_do_not_overlap(one: int, other: int) -> None:
    mine, others = PhoneBlock(one, "FR").numbers, PhoneBlock(other, "SE").numbers
    assert all(is_simulated(msisdn) for msisdn in (mine[0], mine[-1]))
    assert (one == other) == bool(set(mine) & set(others))


@given(st.integers(1, 10**15 - 1))
def test_a_number_is_simulated_only_under_the_reserved_code_with_eleven_digits(msisdn: int) -> None:
    assert is_simulated(msisdn) == (str(msisdn).startswith("999") and len(str(msisdn)) == 11)


@given(
    st.lists(st.sampled_from([99_899_999_999, 99_900_000_000, 99_999_999_999, 100_000_000_000, 33612345678]))
)
def test_a_column_has_a_simulated_number_where_one_of_it_is(msisdns: list[int]) -> None:
    assert any_simulated(msisdns) == any(map(is_simulated, msisdns))


@pytest.mark.parametrize("written", ["+99900000712", "00999 00000712", "+999 000007 12"])
def test_a_simulated_number_is_read_as_others_are_and_is_at_home_nowhere(written: str) -> None:
    assert number_and_region(written) == ("99900000712", "")
    assert normalize(written, "FR") == "99900000712"


@pytest.mark.parametrize("written", ["+9990000071", "+999000007123", "+998901234567890"])
def test_what_only_looks_like_one_is_refused(written: str) -> None:
    with pytest.raises(Invalid):
        normalize(written)


def test_test_keys_write_to_their_own_phones_and_live_keys_to_real_ones() -> None:
    block = PhoneBlock(7, "FR")
    check_phone(block.numbers[99], block)
    check_phone(33612345678, None)
    for msisdn, phones in ((33612345678, block), (PhoneBlock(8, "FR").numbers[0], block)):
        with pytest.raises(Invalid) as refused:
            check_phone(msisdn, phones)
        assert refused.value.code == "phone_not_simulated"
    with pytest.raises(Invalid) as refused:
        check_phone(block.numbers[0], None)
    assert refused.value.code == "phone_simulated"


def test_a_test_merchant_has_the_senders_of_the_one_it_is_beside() -> None:
    info = SenderInfo("sim", receives=True, merchants=frozenset({"boxman"}))
    assert info.allows("boxman.test")
    assert not info.allows("fnac.test")
    assert live_slug("boxman") == "boxman"


def test_a_test_merchant_pays_nothing_by_no_item_and_replies_are_free() -> None:
    book = free_book("EUR")
    version = book.version_at(datetime(2026, 11, 27, tzinfo=UTC))
    assert version is not None
    rated = rate_columns(version, Direction.MT, ["20801", ""], 1)
    assert (rated.item_ids, rated.micros, rated.reasons) == ([0, 0], [0, 0], [None, None])
    assert version.lookup(Direction.MO, "20801") is None
