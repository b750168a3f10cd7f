"""
The offer, and the check that its text says what the law asks before a customer can order by "OK".

The rules are data (`law/offers.toml`), dated and with their source; a country that has none gets the
strict common
minimum. The check finds what is missing; it cannot prove that what stands there is true.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from smsgate.campaigns.folding import fold
from smsgate.campaigns.rendering import field_names
from smsgate.campaigns.sender_rules import law_of, rule_of_sender
from smsgate.campaigns.tables import table
from smsgate.campaigns.withdrawal_notice import notice_in, wrong_of
from smsgate.errors import TextError
from smsgate.money import MINOR_DIGITS, check_currency
from smsgate.protocol.encodings import GSM, Alphabet
from smsgate.protocol.gsm0338 import characters_forcing_ucs2, encode_gsm, suggest
from smsgate.protocol.segmentation import SINGLE_SEPTETS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

QUANTITY_MAX: Final = 9_999  # four digits: more than that in a reply is not read as a number of pieces
PRICE_MINOR_MAX: Final = 100_000_000  # a million units of a currency with cents; an SMS sells nothing dearer

_ALPHANUMERIC: Final = re.compile(r"[0-9A-Za-z .&_-]{1,11}", re.ASCII)
_AMOUNT: Final = re.compile(r"(?<![\d.,])(\d{1,3}(?:[ .,]\d{3})+|\d{1,9})(?:[.,](\d{1,3}))?(?!\d)")


@dataclass(frozen=True, slots=True)
class Offer:
    """
    One version of an offer, frozen with the text that is sent.

    Another price or text is another version.
    """

    shop: str
    item: str
    price_minor: int  # total price of one piece, taxes and delivery included, in minor units of `currency`
    currency: str
    country: str  # ISO 3166 of the recipients
    language: str
    text: str
    sender: str
    quantity_max: int = 1
    stock: int | None = None  # None: not limited here
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        check_currency(self.currency)
        assert 0 < self.price_minor <= PRICE_MINOR_MAX
        assert 1 <= self.quantity_max <= QUANTITY_MAX
        assert self.expires_at is None or self.expires_at.tzinfo is not None


@dataclass(frozen=True, slots=True)
class Facts:
    """What the text must agree with; None is not known and then only the form is checked."""

    shop: str | None = None
    item: str | None = None
    price_minor: int | None = None
    currency: str | None = None
    field_septets_max: Mapping[str, int] = field(default_factory=dict)
    withdrawal: bool | None = None  # the buyer may withdraw


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that keeps the offer from going out.

    `code` is stable, `what` names the element or character.
    """

    code: str
    what: str
    message: str
    source: str = ""
    pointer: str = "/text"
    country: str = ""  # of the recipients whose rule it is, where several were asked about


def lint(
    text: str,
    facts: Facts,
    country: str,
    sender: str,
    *,
    on: date | None = None,
    alphabets: Sequence[Alphabet] = (GSM,),
) -> list[Finding]:
    """
    Return everything that keeps `text` from being sent as an offer to `country`; empty is good.

    `on` is the day of sending (None: the newest rules); `alphabets` are those of the sender's carrier: one
    segment in any of them is enough. Codes: `text_too_long`, `charset_ucs2`, `mandatory_info_missing`,
    `withdrawal_mismatch`, `sender_not_reply_capable`, `sender_not_allowed`.
    """
    rules = rules_of(country, on)
    return [
        *_lint_length(text, facts, alphabets),
        *_lint_minimum(text, facts, rules),
        *lint_sender(sender, country, on=on),
    ]


def says_all_of_an_offer(text: str) -> bool:
    """Return whether a text, whoever wrote it, says everything that an offer must say somewhere."""
    return not _lint_minimum(text, Facts(), table("law", "offers.toml")["common"])


def lint_sender(sender: str, country: str, *, on: date | None = None) -> list[Finding]:
    """Return what keeps a number from sending offers to `country`: `lint`'s part about the sender."""
    if not can_receive(sender):
        why = "a name cannot be answered" if _ALPHANUMERIC.fullmatch(sender) else "this is no sender at all"
        message = f"{why}: an offer that asks for OK needs a short code or a number"
        return [Finding("sender_not_reply_capable", sender, message, pointer="/sender")]
    rule = rule_of_sender(sender, country, on)
    if rule is None or rule.allowed:
        return []
    doubt = "" if rule.certain else " This is not certain, and the stricter reading holds."
    return [Finding("sender_not_allowed", sender, f"{rule.says}{doubt}", rule.source, "/sender")]


def rules_of(country: str, on: date | None = None) -> dict[str, Any]:
    """Return the rule table in force in `country` on a day; the common minimum when there is none."""
    rules = table("law", "offers.toml")
    dated: list[dict[str, Any]] = rules["country"].get(law_of(country), [])
    day = on or date.max
    valid = [rule for rule in dated if rule["from"] <= day and (on is None or day < rule.get("to", date.max))]
    chosen: dict[str, Any] = max(valid, key=lambda rule: rule["from"]) if valid else rules["common"]
    return chosen


def can_receive(sender: str) -> bool:
    """Return whether a customer can answer this sender: digits can, a name cannot."""
    return sender.removeprefix("+").isdecimal() and sender.isascii()


def _lint_length(text: str, facts: Facts, alphabets: Sequence[Alphabet]) -> list[Finding]:
    costly = characters_forcing_ucs2(text)
    if costly and any(_fits(text, facts, alphabet) for alphabet in alphabets):
        return []
    if costly:
        return [
            Finding("charset_ucs2", c, f"U+{ord(c):04X} makes every character cost 16 bits{_instead(c)}")
            for c in costly
        ]
    fixed, worst = _worst_case(text, facts)
    try:
        septets = len(encode_gsm(fixed)) + worst
    except TextError:
        return []
    if septets <= SINGLE_SEPTETS:
        return []
    detail = (
        f"{septets} septets{' with the longest fields' if worst else ''}, one message holds {SINGLE_SEPTETS}"
    )
    return [Finding("text_too_long", str(septets), detail)]


def _worst_case(text: str, facts: Facts) -> tuple[str, int]:
    """Return the text without the fields whose length is known, and how long those may be in all."""
    fixed, worst = text, 0
    for name in field_names(text):
        if name in facts.field_septets_max:
            worst += facts.field_septets_max[name] * text.count(f"{{{name}}}")
            fixed = fixed.replace(f"{{{name}}}", "")
    return fixed, worst


def _fits(text: str, facts: Facts, alphabet: Alphabet) -> bool:
    fixed, worst = _worst_case(text, facts)
    try:
        return len(alphabet.encode(fixed)) + worst * alphabet.unit_octets <= alphabet.octets_max
    except TextError:
        return False


def _instead(char: str) -> str:
    proposal = suggest(char)
    if proposal is None:
        return "; no GSM 03.38 character stands for it"
    return f"; write {proposal!r}" if proposal else "; leave it out"


def _lint_minimum(text: str, facts: Facts, rules: Mapping[str, Any]) -> list[Finding]:
    folded = f" {' '.join(fold(text).split())} "
    phrases = _phrases()
    spoken = [phrases[language] for language in rules.get("languages", phrases)]
    notice = notice_in(folded, spoken)
    present = {
        "identity": _has_identity(folded, facts.shop),
        "item": facts.item is None or _has_any_word(folded, facts.item),
        "price": _has_price(folded, facts.price_minor, facts.currency),
        "ok_meaning": _has_word(folded, "ok") and any(_has_phrase(folded, p["ok_meaning"]) for p in spoken),
        "withdrawal": notice.given,
        "stop": any(_has_word(folded, word) for p in spoken for word in p["stop"]),
    }
    messages = {
        "identity": "the text does not name the shop",
        "item": "the text does not name the item",
        "price": "the text does not state the total price with its currency",
        "ok_meaning": "the text does not say that OK is an order with obligation to pay",
        "withdrawal": "the text does not state the withdrawal period",
        "stop": "the text does not say how to stop",
    }
    findings = [
        Finding("mandatory_info_missing", element, messages[element], rules["source"])
        for element in rules["required"]
        if not present[element]
    ]
    wrong = wrong_of(notice, rules["withdrawal_days"], facts.withdrawal)
    if wrong is not None:
        findings.append(Finding("withdrawal_mismatch", "withdrawal", wrong, rules["source"]))
    return findings


def _has_identity(folded: str, shop: str | None) -> bool:
    if shop is not None:
        name = " ".join(fold(shop).split())
        return bool(name) and name in folded
    head, colon, _rest = folded.partition(":")
    return bool(colon) and 2 <= len(head.strip()) <= 30


def _has_any_word(folded: str, phrase: str) -> bool:
    words = re.findall(r"\w+", fold(phrase))
    telling = [word for word in words if len(word) > 2] or words
    return any(word in folded for word in telling)


def _has_price(folded: str, price_minor: int | None, currency: str | None) -> bool:
    signs: dict[str, list[str]] = table("law", "offers.toml")["currencies"]
    wanted = (
        signs.get(currency, [currency.casefold()])
        if currency
        else [s for all_ in signs.values() for s in all_]
    )
    digits = MINOR_DIGITS.get(currency or "EUR", 2)
    for match in _AMOUNT.finditer(folded):
        before, after = folded[: match.start()].rstrip(), folded[match.end() :].lstrip()
        if not any(_touches(before, after, sign) for sign in wanted):
            continue
        whole, fraction = re.sub(r"\D", "", match[1]), match[2] or ""
        if price_minor is None or (
            len(fraction) <= digits and int(whole + fraction.ljust(digits, "0")) == price_minor
        ):
            return True
    return False


def _touches(before: str, after: str, sign: str) -> bool:
    """
    Return whether the currency stands directly at the amount.

    Letters must end there ("kr" is not "kreta").
    """
    if before.endswith(sign) and (not sign[0].isalpha() or not before[: -len(sign)][-1:].isalpha()):
        return True
    return after.startswith(sign) and (not sign[-1].isalpha() or not after[len(sign) :][:1].isalpha())


@cache
def _phrases() -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the phrases of every language, folded as the texts are that they are looked for in."""
    return {
        language: {name: tuple(map(fold, words)) for name, words in own.items()}
        for language, own in table("law", "offer_phrases.toml").items()
    }


def _has_phrase(folded: str, phrases: tuple[str, ...]) -> bool:
    return any(phrase in folded for phrase in phrases)


def _has_word(folded: str, word: str) -> bool:
    return _word(word).search(folded) is not None


@cache  # of the words of the law's table
def _word(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
