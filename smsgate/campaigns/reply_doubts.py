"""What makes an order doubtful although every word of it is understood: what stands beside what."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from smsgate.campaigns.reply_entries import BIT, STOP_KINDS
from smsgate.campaigns.reply_phrases import UNEXPLAINED
from smsgate.campaigns.reply_words import shared

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smsgate.campaigns.reply_requests import Hit
    from smsgate.campaigns.reply_signatures import Segment
    from smsgate.campaigns.reply_tokens import TakenApart

_THINGS: Final = frozenset(
    ("function", "number", "item", "pronoun", "named", "quantity", "choice", "purpose")
)

BANTER: Final = BIT["banter"]
RETURNING: Final = BIT["left"] | BIT["again"] | BIT["between"]
_REQUEST: Final = sum(BIT[kind] for kind in STOP_KINDS if kind != "not_stop") | BIT["quit"]
# What may stand between banter and the order: "come off it, well yes please, I'll take it".
_LIGHT: Final = frozenset(("harmless", "yes", "weak", "praise", "adverb", "name", "named", "address"))


def besides(text: TakenApart, segments: list[Segment], *, one_variant: bool) -> bool:
    """
    Return whether something is asked for besides the offer: "yes and a poster".

    Choices that name `one_variant` together are none: "in blue and in size M".
    """
    return any(
        first.category == "function"
        and second.category in _THINGS
        and not (one_variant and second.category == "choice")
        and (first.language, text.tokens[first.start]) in shared().conjunctions
        for first, second in pairwise(segments[1:])
    )


def numbered(text: TakenApart, segments: list[Segment]) -> bool:
    """Return whether a number stands behind what is sold, which it may name: "CD 2", "a box of 6"."""
    behind: Segment | None = None
    for segment in segments:
        if segment.category == "number" and behind is not None and not text.times:
            return segment.start not in {start for start, _ in text.clauses}
        if segment.category == "item":
            behind = segment
        elif segment.category != "function":
            behind = None
    return False


def placed(text: TakenApart, segments: list[Segment]) -> str:
    """Return a word of place or time that stands before a number: "at 2", "sur 2"."""
    for first, second in pairwise(segments):
        if second.category == "number" and first.category == "function":
            said = " ".join(text.tokens[first.start : first.end])
            if said not in shared().before_numbers:
                return said
    return ""


def priced(text: TakenApart, segments: list[Segment]) -> bool:
    """Return whether a number may be the price of what a verb of taking has taken: "I'll take it for 5"."""
    return any(
        taken.category in {"buy", "pronoun"}
        and word.category == "function"
        and number.category == "number"
        and text.tokens[word.end - 1] in shared().price_words
        and text.tokens[taken.end - 1] not in shared().price_words
        for taken, word, number in zip(segments, segments[1:], segments[2:], strict=False)
    )


def owned(text: TakenApart, segments: list[Segment]) -> bool:
    """Return whether a thing is called the customer's own: "my ticket" is not what is offered."""
    return any(
        second.category == "item"
        and first.category == "function"
        and text.tokens[first.end - 1] in shared().possessives
        for first, second in pairwise(segments)
    )


def another_thing(items: Iterable[str], names: frozenset[str]) -> str:
    """Return an item that is no record, as the first offers were, and that the offer does not name."""
    offered = shared().offered
    for item in items:
        if not any(word in names or word.startswith(offered) for word in item.split()):
            return item
    return ""


def bantered(asking: list[Hit], segments: list[Segment]) -> bool:
    """
    Return whether what asks for silence is what friends say as well, right before an order.

    Nobody knows then ("come off it, I'll take it"): it is asked about. A stop that more is said of, or that
    comes after the order, is one.
    """
    said = [hit for hit in asking if hit.asks.bits & BANTER]
    if not said:
        return False
    places = {place for hit in said for place in range(hit.start, hit.end)}
    if any(hit.asks.bits & _REQUEST and not places.issuperset(range(hit.start, hit.end)) for hit in asking):
        return False
    rest = [each for each in segments if places.isdisjoint(range(each.start, each.end))]
    kinds = {each.category for each in rest}
    if not kinds.isdisjoint(UNEXPLAINED) or "no" in kinds:
        return False
    behind = [each.category for each in rest if each.start > max(places)]
    return next((kind for kind in behind if kind not in _LIGHT), "") == "buy"


def wants_again(text: TakenApart, hits: list[Hit]) -> bool:
    """
    Return whether nothing is said but that messages are wanted again, and that they had been stopped.

    Any other word may turn it: "I unsubscribed, nobody wants to get them again", "if I want them again I'll
    say".
    """
    said = {place for hit in hits if hit.asks.bits & RETURNING for place in range(hit.start, hit.end)}
    return len(said) == len(text.tokens)


def _polite(by: dict[str, list[str]]) -> bool:
    """
    Return whether a word of thanks or asking is said as such, as the tables of the language have it.

    "Tak" is thanks to Danes and yes to Poles, "ta" thanks to Britons and a fine with me to Portuguese.
    """
    thanked = [*by.get("harmless", ()), *(said for said in by.get("yes", ()) if len({*said.split()}) > 1)]
    return any(not shared().signing.thanks.isdisjoint(said.split()) for said in thanked)


_LESS_SURE: Final = frozenset(("introduced", "address", "use", "purpose"))


def beside_a_sure_answer(by: dict[str, list[str]], *, plain: bool, counted: bool) -> tuple[str, str] | None:
    """
    Return why a word that changes nothing beside a sure answer changes a less sure one.

    "OK for my son" may be about anything, and "yes dear" said to another person; with a verb of buying or
    thanks they are not.
    """
    if "buy" in by or _LESS_SURE.isdisjoint(by):
        return None
    polite = _polite(by)
    if "introduced" in by and not polite:
        return "introduced", f"{by['introduced'][0]!r} may answer who is there."
    if "address" in by and not polite:
        return "addressed", f"{by['address'][0]!r} may be said to another person."
    if "use" in by and not (polite or counted):
        return "for_something", f"{by['use'][0]!r} may be another thing than the offer is for."
    if "purpose" in by and not (plain or polite or counted or "choice" in by):
        return "for_something", f"{by['purpose'][0]!r} may be another thing than the offer is for."
    return None
