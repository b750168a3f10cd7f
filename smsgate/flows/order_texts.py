"""Order numbers and amounts as buyers read and write them."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Final

from smsgate.money import minor_to_text

ORDER_NUMBER_MIN: Final = 10_000_000  # eight digits, and none of them is lost when a phone reads a number
ORDER_NUMBERS: Final = 90_000_000
NUMBERS_KEPT: Final = 4_096  # a group of replies first looks whether another order has the number
PRICES_KEPT: Final = 1_024  # orders of one offer have few totals
_ORDER_NUMBER: Final = re.compile(r"(?<!\d)[1-9]\d{7}(?!\d)", re.ASCII)


@lru_cache(NUMBERS_KEPT)
def order_number(merchant_id: int, message_id: int, nth: int, attempt: int) -> str:
    """
    Return the number that buyer and shop use, derived from what was answered: a retry makes the same.

    `attempt` above 0 gives another one, for the rare case that two offers come to the same number.
    """
    seed = f"{merchant_id}|{message_id}|{nth}|{attempt}".encode()
    digest = int.from_bytes(hashlib.blake2b(seed, digest_size=8).digest())
    return str(digest % ORDER_NUMBERS + ORDER_NUMBER_MIN)


def free_number(
    taken: set[tuple[int, str]], merchant_id: int, message_id: int, nth: int, attempt: int
) -> str:
    """Return the first number from `attempt` on that is not among `taken` (merchant, number), and add it."""
    while (key := (merchant_id, order_number(merchant_id, message_id, nth, attempt))) in taken:
        attempt += 1
    taken.add(key)
    return key[1]


def order_numbers_in(text: str) -> list[str]:
    """Return what may be order numbers in a customer's text."""
    return _ORDER_NUMBER.findall(text)


@lru_cache(PRICES_KEPT)
def price_text(minor: int, currency: str, language: str) -> str:
    """Return an amount as people read it in an SMS: the euro sign costs two septets and says it all."""
    amount = minor_to_text(minor, currency)
    if not language.startswith("en"):
        amount = amount.replace(".", ",")
    return f"{amount}€" if currency == "EUR" else f"{amount} {currency}"
