"""
The numbering plans of `phonenumbers`, compiled to one regular expression per region when first asked for.

`phonenumbers` takes 60 microseconds for a number, this takes two. It answers only what is plain: an
international number that its plan calls mobile. Everything else, and every refusal, is left to the library,
so there is one truth. Source: phonenumbers' own metadata (libphonenumber's), and `phonenumberutil.parse`,
`region_code_for_number` and `number_type`, whose order of questions is kept.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final, NamedTuple

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberDesc

CALLING_CODE_DIGITS_MAX: Final = 3
# number_type asks for these first: what is one of them is not mobile, whatever the mobile pattern says.
_BEFORE_MOBILE: Final = (
    "premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail",
)  # fmt: skip
_ALL_TYPES: Final = (*_BEFORE_MOBILE, "fixed_line", "mobile")
_PLAIN: Final = re.compile(r"\+?[1-9][0-9]{6,14}", re.ASCII)
_SEPARATORS: Final = str.maketrans("", "", " -.\u00a0\u202f\u2011")


class PlainNumber(NamedTuple):
    digits: str  # E.164 without the plus
    region: str  # ISO 3166


class _Region(NamedTuple):
    name: str
    claims: re.Pattern[str]  # matches national numbers that are this region's, if no earlier one's
    mobile: re.Pattern[str]  # matches national numbers that are mobile here
    prefix: re.Pattern[str] | None  # what may be cut off the front: such a number is not plain


def plain_mobile(text: str, default_region: str | None = None) -> PlainNumber | None:
    """
    Return a number that is written internationally and plainly mobile; None: ask `phonenumbers`.

    Without `default_region` the plus may be missing, as in `msisdn.normalize`.
    """
    # Most have no separators, and need not be written anew without them.
    written = text if _PLAIN.fullmatch(text) else text.translate(_SEPARATORS)
    if not _PLAIN.fullmatch(written) or (default_region is not None and written[0] != "+"):
        return None
    digits = written.removeprefix("+")
    for length in range(1, CALLING_CODE_DIGITS_MAX + 1):
        regions = _regions(int(digits[:length]))
        if regions is None:
            continue
        national = digits[length:]
        first = regions[0] if regions else None
        if first is None or (first.prefix is not None and first.prefix.match(national)):
            return None
        for region in regions:
            if len(regions) == 1 or region.claims.match(national):
                return PlainNumber(digits, region.name) if region.mobile.match(national) else None
        return None
    return None


@cache
def _regions(calling_code: int) -> tuple[_Region, ...] | None:
    """Return the regions of a calling code in the library's order; None: it is no calling code."""
    names = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(calling_code)
    if names is None:
        return None
    found = [PhoneMetadata.metadata_for_region(name, None) for name in names if name.isalpha()]
    return tuple(_region(metadata) for metadata in found if metadata is not None)


def _region(metadata: PhoneMetadata) -> _Region:
    general = _pattern(metadata.general_desc)
    types = [_pattern(getattr(metadata, name)) for name in _ALL_TYPES]
    others = "".join(f"(?!{_pattern(getattr(metadata, name))})" for name in _BEFORE_MOBILE)
    same = metadata.same_mobile_and_fixed_line_pattern
    mobile = _pattern(metadata.fixed_line if same else metadata.mobile)
    claims = metadata.leading_digits or f"(?={general})(?:{'|'.join(types)})"
    prefix = metadata.national_prefix_for_parsing
    return _Region(
        metadata.id,
        re.compile(claims),
        re.compile(f"(?={general}){others}{mobile}"),
        None if prefix is None else re.compile(prefix),
    )


def _pattern(desc: PhoneNumberDesc | None) -> str:
    """Return what matches a whole national number of this kind, by length and by pattern."""
    if desc is None or not desc.national_number_pattern:
        return r"(?!)"
    lengths = "|".join(rf"[0-9]{{{length}}}\Z" for length in desc.possible_length)
    whole = rf"(?:{desc.national_number_pattern})\Z"
    return rf"(?:(?={lengths}){whole})" if lengths else rf"(?:{whole})"
