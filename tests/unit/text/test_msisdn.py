from __future__ import annotations

import pytest

from smsgate.errors import Invalid
from smsgate.msisdn import DENIED_CALLING_CODES, is_e164, is_fiction, mask, normalize, region_of


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("+33 6 12 34 56 78", None, "33612345678"),
        ("0033612345678", None, "33612345678"),
        ("33612345678", None, "33612345678"),
        ("06.12.34.56.78", "FR", "33612345678"),
        ("+46 (0)70-174 06 05", "FR", "46701740605"),
        ("070-174 06 05", "SE", "46701740605"),
        ("(202) 555-0123", "US", "12025550123"),
        ("0639980001", "FR", "33639980001"),
        ("+447700900123", None, "447700900123"),
    ],
)
def test_numbers_as_people_write_them_become_e164(text: str, region: str | None, expected: str) -> None:
    assert normalize(text, region) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "+33 1 23 45 67 89",
        "36111",
        "+33 6 12",
        "1-800-FLOWERS",
        "+8816123456789",
        "+33612345678;ext=5",
        "+33612345678\x00",
        "9" * 41,
        "++33612345678",
        "+999123456789",
        "+",
        "()",
    ],
)
def test_what_cannot_get_an_sms_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        normalize(text)
    assert caught.value.code == "msisdn_invalid"


@pytest.mark.parametrize("calling_code", sorted(DENIED_CALLING_CODES))
def test_satellite_and_shared_cost_codes_are_denied_even_when_the_plan_knows_them(calling_code: int) -> None:
    for national in ("12345678", "612345678", "6123456789"):
        with pytest.raises(Invalid):
            normalize(f"+{calling_code}{national}")


def test_a_refusal_never_shows_the_whole_number() -> None:
    with pytest.raises(Invalid) as caught:
        normalize("+33123456789")
    assert "23456" not in str(caught.value)


def test_masks_keep_two_digits_at_each_end() -> None:
    assert mask("46701740667") == "46*******67"
    assert mask("123") == "***"


def test_regions_are_found() -> None:
    assert region_of("33612345678") == "FR"
    assert region_of("14165550123") == "CA"
    assert region_of("33639980001") == "FR"
    assert region_of("999") is None


def test_the_syntactic_path_takes_digits_only() -> None:
    assert is_e164("33612345678")
    assert not any(map(is_e164, ["", "+33612345678", "0612345678", "1" * 16, "٣٣٦١٢٣٤٥٦٧٨", "33612345678\n"]))


def test_numbers_of_films_belong_to_nobody() -> None:
    assert is_fiction("33639980001")
    assert not is_fiction("33612345678")
