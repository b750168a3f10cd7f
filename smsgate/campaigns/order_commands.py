"""
What a customer wants done with an order that is there: cancel, withdraw, or "that was not me".

The words are data (`order_words.toml`, `order_children.toml`). An order that binds is never ended by a guess:
a text cancels or withdraws only when every word of it is understood, so a negation, a condition, a question
or one thing more makes it doubtful, and the customer is asked. "It wasn't me" disputes so, too, for it may be
about who opened the door. What is not found here is read as any other reply.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from itertools import product
from typing import Final, NamedTuple

from smsgate.campaigns.folding import fold
from smsgate.campaigns.replies import TEXT_CHARACTERS_MAX, Label
from smsgate.campaigns.reply_words import shared
from smsgate.campaigns.short_texts import once_if_short
from smsgate.campaigns.tables import table

COMMANDING: Final = frozenset({Label.DECLINE, Label.UNCLEAR, Label.STOP, Label.FEEDBACK, Label.HELP})
NAME_LETTERS_MIN: Final = (
    4  # shorter words of an offer's name ("no", "not", "one") say too much by themselves
)
BESIDE_MAX: Final = 4  # phrases between a child and what it did
SIGNED_WORDS_MAX: Final = 2  # a first name signs at an end of the text; elsewhere it is about somebody
_WORD: Final = re.compile(r"[^\W_]+|[?؟;.,:!\n]|\S")
_QUESTIONS: Final = frozenset("?؟")
_ENDS: Final = frozenset(".,;:!\n")
_NUMBER: Final = re.compile(r"[1-9]\d{7}", re.ASCII)
# "No. 74170963" may be its number and nothing else.
_NUMBERED: Final = re.compile(r"\bno\s*[.:]\s*\d", re.IGNORECASE)


class OrderCommand(StrEnum):
    """In the order in which they are looked for."""

    DISPUTE = "dispute"
    WITHDRAW = "withdraw"
    CANCEL = "cancel"


class OrderWish(NamedTuple):
    """What a text wants done, and why in one sentence; `command` None: it may be a wish, and may be none."""

    command: OrderCommand | None
    reason: str


class _Said(NamedTuple):
    category: str  # of `order_words.toml`, or "number", "name", "end", "strange"
    words: str


def order_wish(text: str, label: Label, names: Iterable[str] = ()) -> OrderWish | None:
    """
    Return what a text that was read as `label` wants done with an order; None: it speaks of no such thing.

    `names` are the shop's and the item's.
    """
    if label not in COMMANDING:
        return None
    seen = text[:TEXT_CHARACTERS_MAX]
    asks = not _QUESTIONS.isdisjoint(seen)
    joined = _joined(seen)
    disputing = _disputing().search(joined)
    if disputing and not asks:
        disputed = disputing[0].strip()
        if other := _any_of(_SOMETHING_ELSE).match(joined, disputing.end() - 1):
            return OrderWish(None, f"{other[0].strip()!r} behind {disputed!r} may change what is meant.")
        return OrderWish(OrderCommand.DISPUTE, f"{disputed!r} disputes an order.")
    said = _said(seen, names)
    alone = next((each for each in said if each.category == "dispute_alone"), None)
    if alone is not None and not asks:
        return _not_me(label, said, said.index(alone))
    if label is Label.STOP and (disputing or alone):
        return OrderWish(None, "It may dispute an order, with a question mark.")
    wishes = [each for each in said if each.category in _WISHES]
    if not wishes:
        return None
    wish = next((each for each in wishes if each.category != "unwanted"), wishes[0])
    if label is Label.STOP and wish.category == "unwanted" and all(each.category != "order" for each in said):
        return None
    if asks:
        return _doubt(label, f"{wish.words!r} with a question mark.")
    answered = [each.category for each in said[:2]] == ["no", "end"]  # "No, cancel": unlike "no cancelar"
    rest = said[1:] if answered else said
    if strange := [each.words for each in rest if each.category in {"strange", "no", "beside_dispute"}]:
        return _doubt(label, f"{strange[0]!r} beside {wish.words!r} may change what is wanted.")
    if _taken_back(said):
        return _doubt(label, f"{wish.words!r} may be what is not wanted any more.")
    command = OrderCommand.CANCEL
    if any(each.category == "withdraw" for each in wishes):
        command = OrderCommand.WITHDRAW
    return OrderWish(command, f"{wish.words!r} and nothing that limits it.")


def plain_no(text: str) -> bool:
    """Return whether a text is a no and nothing else, or the no to an order's number that receipts name."""
    if not _QUESTIONS.isdisjoint(text) or _NUMBERED.search(text):
        return False
    said = [each for each in _said(text[:TEXT_CHARACTERS_MAX], ()) if each.category != "end"]
    categories = {each.category for each in said}
    if len({each.words for each in said if each.category == "no"}) != 1:
        return False
    numbers = [each for each in said if each.category == "number"]
    return categories == {"no"} or (len(numbers) == 1 and categories <= {"no", "number", "order", "polite"})


def _not_me(label: Label, said: list[_Said], place: int) -> OrderWish:
    """
    Return what "it wasn't me" wants: a dispute, if nothing stands beside it that it may be about instead.

    It may be about a newer offer beside a reason, which explains why nothing is bought. Of a stop its clause
    alone is looked at: most words of a stop are none of these lists. In doubt it is one beside a stop and a
    question, too, for neither is answered by anything about an order.
    """
    first, last = 0, len(said)
    if label is Label.STOP:
        ends = [place for place, each in enumerate(said) if each.category == "end"]
        first = max((end for end in ends if end < place), default=first)
        last = min((end for end in ends if end > place), default=last)
    disputed = said[place].words
    if strange := [each.words for each in said[first:last] if each.category in {"strange", "reason"}]:
        return OrderWish(None, f"{strange[0]!r} beside {disputed!r} may change what is meant.")
    return OrderWish(OrderCommand.DISPUTE, f"{disputed!r} disputes an order.")


@once_if_short
def may_command(text: str) -> bool:
    """Return whether `order_wish` may find something: then the person's orders are looked up."""
    joined = _joined(text[:TEXT_CHARACTERS_MAX])
    patterns = (_disputing(), _child_alone(), *map(_any_of, ("dispute_alone", *_WISHES)))
    return any(pattern.search(joined) is not None for pattern in patterns)


def _doubt(label: Label, reason: str) -> OrderWish | None:
    """A doubtful wish beside a stop is a stop, and beside a question of another kind that question."""
    return None if label in {Label.STOP, Label.HELP} else OrderWish(None, reason)


def _taken_back(said: list[_Said]) -> bool:
    """Return whether one clause says "no longer want" and "cancel": "I no longer want to cancel"."""
    here: set[str] = set()
    for each in said:
        if each.category == "end":
            here.clear()
        here.add(each.category)
        if "unwanted" in here and not here.isdisjoint({"cancel", "withdraw"}):
            return True
    return False


_WISHES: Final = ("withdraw", "cancel", "unwanted")
_SOMETHING_ELSE: Final = "something_else"  # limits what stands right before it, and is understood nowhere


def _said(text: str, names: Iterable[str]) -> list[_Said]:
    """Return the phrases of a text from left to right, the longest first."""
    words, (phrases, longest) = _words(text), _phrases()
    called = {tuple(_words(name)) for name in names}
    called |= {(word,) for name in called for word in name if len(word) >= NAME_LETTERS_MIN}
    said: list[_Said] = []
    place = 0
    while place < len(words):
        for size in range(min(longest, len(words) - place), 0, -1):
            phrase = tuple(words[place : place + size])
            category = phrases.get(phrase)
            if phrase in called and category in {None, "beside_dispute"}:  # "record" of "Vinyl Record"
                category = "name"
            if category is not None:
                break
        else:
            size, category = 1, _alone(words, place)
        said.append(_Said(category, " ".join(words[place : place + size])))
        place += size
    return said


def _alone(words: list[str], place: int) -> str:
    """Return what a word is that is in no list."""
    word = words[place]
    if word in _ENDS or unicodedata.category(word[0])[0] in {"P", "Z"}:
        return "end"
    if _NUMBER.fullmatch(word):
        return "number"
    spoken = [other for other in range(len(words)) if words[other] not in _ENDS]
    signed = place in spoken[:1] or place in spoken[-SIGNED_WORDS_MAX:]
    return "name" if signed and word in shared().names else "strange"


def _words(text: str) -> list[str]:
    return _WORD.findall(fold(text).replace("'", " "))


def _joined(text: str) -> str:
    return f" {' '.join(word for word in _words(text) if word[0].isalnum())} "


@cache
def _phrases() -> tuple[dict[tuple[str, ...], str], int]:
    """Return the category of each phrase, and how many words the longest has."""
    lists, said = table("order_words.toml"), table("order_children.toml")
    understood = {name: phrases for name, phrases in lists.items() if name != _SOMETHING_ELSE}
    found = {tuple(_words(phrase)): name for name, phrases in understood.items() for phrase in phrases}
    children = product(said["child"], said["did_alone"])
    found |= {tuple(_words(f"{child} {did}")): "dispute_alone" for child, did in children}
    return found, max(map(len, found))


@cache
def _any_of(category: str) -> re.Pattern[str]:
    return re.compile(f" {_either(table('order_words.toml')[category])} ")


@cache
def _disputing() -> re.Pattern[str]:
    """Return what disputes an order wherever it stands in a text."""
    phrases, said = table("order_words.toml")["dispute"], table("order_children.toml")
    child, beside, did = (_either(said[name]) for name in ("child", "beside", "did"))
    return re.compile(f" (?:{_either(phrases)}|{child}(?: {beside}){{0,{BESIDE_MAX}}} {did}) ")


@cache
def _child_alone() -> re.Pattern[str]:
    """Return what a child did that disputes an order where it stands alone."""
    said = table("order_children.toml")
    return re.compile(f" {_either(said['child'])} {_either(said['did_alone'])} ")


def _either(phrases: Iterable[str]) -> str:
    longest_first = sorted(map(_joined, phrases), key=len, reverse=True)
    return f"(?:{'|'.join(re.escape(phrase.strip()) for phrase in longest_first)})"
