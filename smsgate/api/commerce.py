"""What the commerce routes share: the door to the use cases, and money as merchants write it."""

from __future__ import annotations

from smsgate import msisdn as msisdns
from smsgate.api.routing import Call
from smsgate.errors import Invalid
from smsgate.flows.commerce import Commerce
from smsgate.money import MICROS_PER_UNIT, MINOR_DIGITS, micros_from_text
from smsgate.security.public_ids import Kind


def commerce(call: Call) -> Commerce:
    found = call.context.commerce
    assert found is not None
    return found


def msisdn_from_text(text: str, pointer: str) -> int:
    """
    Read a number as people write it.

    Raises:
        Invalid: code `msisdn_invalid`, at `pointer`.
    """
    try:
        return int(msisdns.normalize(text))
    except Invalid as exc:
        raise Invalid(str(exc), code="msisdn_invalid", pointer=pointer) from None


def minor_from_text(text: str, currency: str, pointer: str = "/price") -> int:
    """
    Read a price as minor units of `currency`, exactly.

    Raises:
        Invalid: code `amount_invalid`; no amount, or more decimals than the currency has.
    """
    try:
        micros = micros_from_text(text)
    except Invalid as exc:
        raise Invalid(str(exc), code="amount_invalid", pointer=pointer) from None
    scale: int = MICROS_PER_UNIT // 10 ** MINOR_DIGITS[currency]
    minor, rest = divmod(micros, scale)
    if rest:
        raise Invalid(f"{text} has more decimals than {currency}", code="amount_invalid", pointer=pointer)
    return minor


def public_or_none(call: Call, kind: Kind, id_: int | None) -> str | None:
    return None if id_ is None else call.public(kind, id_)


def id_or_none(call: Call, kind: Kind, text: str | None) -> int | None:
    """Return the id that a filter names; NotFound when it is none of this kind."""
    return None if text is None else call.decode(kind, text)
