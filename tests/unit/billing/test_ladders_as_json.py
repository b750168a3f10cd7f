"""Ladders as the price list stores them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.billing.tiers import Ladder, LadderMode, Step, ladder_from_json, ladder_to_json
from smsgate.errors import Invalid


@given(
    st.sampled_from(LadderMode),
    st.dictionaries(st.integers(2, 10**9), st.integers(0, 10**9), max_size=5),
    st.integers(0, 10**9),
)
def test_a_ladder_comes_back_as_it_was_written(mode: LadderMode, later: dict[int, int], first: int) -> None:
    ladder = Ladder(mode, tuple(Step(*pair) for pair in sorted({1: first, **later}.items())))
    assert ladder_from_json(ladder_to_json(ladder)) == ladder


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"mode": "stairs", "steps": [[1, 5]]}',
        '{"mode": "volume"}',
        '{"mode": "volume", "steps": [[2, 5]]}',
        '{"mode": "volume", "steps": [[1, 5], [1, 6]]}',
        '{"mode": "volume", "steps": [[1, 0.05]]}',
        '{"mode": "volume", "steps": [[1, -5]]}',
        '{"mode": "volume", "steps": [[1]]}',
    ],
)
def test_what_is_no_ladder_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        ladder_from_json(text)
