"""What the compiled numbering plans say is what phonenumbers says, and they say it only where it is plain."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import phonenumbers
import pytest
from phonenumbers import PhoneMetadata

from smsgate import msisdn
from smsgate.errors import Invalid
from smsgate.numbering import plain_mobile

# In make test; `make numbers` takes 300,000.
NUMBERS = int(os.environ.get("NUMBERS", "20000"))
KINDS = (
    "general_desc", "fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "voip",
    "personal_number", "pager", "uan", "voicemail",
)  # fmt: skip
REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


def examples() -> list[tuple[str, str, str]]:
    """Return (region, calling code, national number) of every example in the library's own data."""
    found = []
    for region in REGIONS:
        metadata = PhoneMetadata.metadata_for_region(region)
        assert metadata is not None
        for kind in KINDS:
            desc = getattr(metadata, kind)
            if desc is not None and desc.example_number:
                found.append((region, str(metadata.country_code), desc.example_number))
    return found


def mutated(rng: random.Random, national: str) -> str:
    """Change up to four digits, add some, leave some out."""
    digits = list(national)
    for _ in range(rng.randrange(5)):
        match rng.randrange(6):
            case 0 if len(digits) > 5:
                digits.pop(rng.randrange(len(digits)))
            case 1:
                digits.insert(rng.randrange(len(digits) + 1), rng.choice("0123456789"))
            case _:
                digits[rng.randrange(len(digits))] = rng.choice("0123456789")
    return "".join(digits)


def written(rng: random.Random, code: str, national: str) -> str:
    """Write a number as people do."""
    text = f"+{code}{national}"
    match rng.randrange(8):
        case 0:
            return text[1:]
        case 1:
            return f"+{code} {national[:3]} {national[3:]}"
        case 2:
            return f"00{code}-{national}"
        case 3:
            return f"+{code}.{national[:2]}\u00a0{national[2:]} "
        case 4:
            return f"+{code} (0){national}"
        case _:
            return text


def numbers(seed: int, count: int) -> Iterator[tuple[str, str | None]]:
    rng, all_examples = random.Random(seed), examples()
    for _ in range(count):
        region, code, national = rng.choice(all_examples)
        text = written(rng, code, mutated(rng, national))
        yield text, rng.choice((None, None, region, rng.choice(REGIONS)))


def by_library(text: str, region: str | None) -> tuple[str, str] | None:
    try:
        digits = msisdn._by_library(text, region)
    except Invalid:
        return None
    return digits, msisdn.region_of(digits) or ""


def test_what_is_plain_is_what_the_library_says_in_every_plan_and_around_its_examples() -> None:
    plain = 0
    for text, region in numbers(1, NUMBERS):
        found = plain_mobile(text, region)
        if found is not None:
            plain += 1
            assert tuple(found) == by_library(text, region), (text, region)
    assert plain > NUMBERS // 20


@pytest.mark.parametrize("region", REGIONS)
def test_every_regions_own_mobile_example_is_judged_as_the_library_does(region: str) -> None:
    number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    if number is not None:
        text = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        expected = by_library(text, None)
        assert expected is not None or number.country_code in msisdn.DENIED_CALLING_CODES
        found = plain_mobile(text)
        assert found is None or tuple(found) == expected


def test_french_mobiles_are_plain_however_they_are_spaced_and_nothing_else_french_is() -> None:
    for text in ("+33612345678", "33612345678", "+33 6 12 34 56 78", "+33-6.12.34.56.78", "+33762345678"):
        assert plain_mobile(text) == (text.translate({43: "", 45: "", 46: "", 32: ""}), "FR")
    for text in ("0612345678", "+33123456789", "+33912345678", "+331", "+3361234567", "+33 (0)612345678", ""):
        assert plain_mobile(text) is None
    assert (
        plain_mobile("33612345678", "FR") is None
    )  # read as a national number there, and the library says how


def test_satellites_are_refused_though_their_plan_calls_them_mobile() -> None:
    for code in msisdn.DENIED_CALLING_CODES:
        with pytest.raises(Invalid, match=r"never served|no phone number"):
            msisdn.normalize(f"+{code}612345678")


def test_a_plain_number_takes_a_tenth_of_the_librarys_time() -> None:
    texts = [f"+336{n:08}" for n in range(12_000_000, 12_002_000)]
    plain_mobile(texts[0])

    def cpu(judge: object) -> float:
        began = time.thread_time()
        for text in texts:
            assert judge(text, None)  # type: ignore[operator]
        return time.thread_time() - began

    rounds = [
        (cpu(plain_mobile), cpu(by_library)) for _ in range(4)
    ]  # the least of each: others share the core
    assert min(ours for ours, _ in rounds) * 10 < min(theirs for _, theirs in rounds)
