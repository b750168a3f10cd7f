from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from smsgate.campaigns.caps import DAY, NO_CAPS, SAFE_CAPS, WEEK, CapLimits, Contact, capped_until
from smsgate.config.marketing import CapSettings

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MERCHANT, OTHER = 7, 8


def ago(merchant_id: int, hours: float) -> Contact:
    return Contact(merchant_id, NOW - timedelta(hours=hours))


def test_what_holds_by_default_is_a_cap_of_each_kind_and_no_merchant_gets_more_than_all() -> None:
    assert len(SAFE_CAPS.caps()) == 4
    assert CapSettings().limits() == SAFE_CAPS
    assert SAFE_CAPS.merchant_per_day_max <= SAFE_CAPS.person_per_day_max
    assert SAFE_CAPS.merchant_per_week_max <= SAFE_CAPS.person_per_week_max


def test_no_cap_holds_nothing() -> None:
    assert not NO_CAPS.active
    assert capped_until([ago(MERCHANT, 1)] * 100, MERCHANT, NO_CAPS, NOW) is None


def test_a_cap_over_all_merchants_counts_them_all_and_ends_a_day_after_the_oldest() -> None:
    limits = CapLimits(person_per_day_max=2)
    assert capped_until([ago(OTHER, 23)], MERCHANT, limits, NOW) is None
    found = capped_until([ago(OTHER, 23), ago(MERCHANT, 1), ago(OTHER, 30)], MERCHANT, limits, NOW)
    assert found is not None
    assert (found[0], found[1].rule) == (NOW + timedelta(hours=1), "cap-person-day")


def test_a_merchants_cap_counts_its_own_alone() -> None:
    limits = CapLimits(merchant_per_week_max=1)
    assert capped_until([ago(OTHER, 1)] * 5, MERCHANT, limits, NOW) is None
    found = capped_until([ago(MERCHANT, 24 * 6)], MERCHANT, limits, NOW)
    assert found is not None
    assert (found[0], found[1].rule) == (NOW + DAY, "cap-merchant-week")


def test_of_two_caps_the_later_end_counts_and_says_so() -> None:
    limits = CapLimits(person_per_day_max=1, person_per_week_max=1)
    found = capped_until([ago(MERCHANT, 1)], MERCHANT, limits, NOW)
    assert found is not None
    assert (found[0], found[1].rule) == (NOW - timedelta(hours=1) + WEEK, "cap-person-week")
    assert found[1].says == "A person gets at most 1 of all merchants' marketing messages in 7 days."


@given(
    st.lists(st.tuples(st.sampled_from([MERCHANT, OTHER]), st.integers(1, 10 * 24 * 60)), max_size=20),
    st.builds(CapLimits, *[st.integers(0, 4)] * 4),
)
def test_a_message_at_the_instant_that_is_named_is_within_every_cap_and_none_earlier_is(
    contacts: list[tuple[int, int]], limits: CapLimits
) -> None:
    had = [Contact(merchant_id, NOW - timedelta(minutes=minutes)) for merchant_id, minutes in contacts]
    found = capped_until(had, MERCHANT, limits, NOW)
    if found is not None:
        assert found[0] > NOW
        assert capped_until(had, MERCHANT, limits, found[0]) is None
        assert capped_until(had, MERCHANT, limits, found[0] - timedelta(seconds=1)) is not None
