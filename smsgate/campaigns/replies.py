"""
What a customer's reply means. Deterministic: the same text, language and rules give the same reading for
ever.

An order binds a buyer, so whatever is not fully understood is `unclear` and gets one question back; a stop
must never be missed, so it wins over everything else in the same text. Tables: `words/*.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.campaigns.reply_decisions import ORDERING, Found, Label, decide
from smsgate.campaigns.reply_machine import before_cut, doubtful, machine, without
from smsgate.campaigns.reply_own_texts import own_text
from smsgate.campaigns.reply_phrases import UNEXPLAINED, classify, named
from smsgate.campaigns.reply_stops import SLIP, TAKEN_BACK, Stop, asking, plain_stop, read_stop
from smsgate.campaigns.reply_tables import NOTHING_SAID
from smsgate.campaigns.reply_tokens import clean, of_letters, strip_quoted, take_apart
from smsgate.campaigns.reply_words import own_language, shared, vocabulary

if TYPE_CHECKING:
    from smsgate.campaigns.reply_signatures import Segment
    from smsgate.campaigns.reply_tokens import TakenApart

__all__ = ["Context", "Label", "Reading", "read_reply"]

TEXT_CHARACTERS_MAX: Final = 1_600  # ten segments; what a person writes beyond is not read
ENGLISH_YES: Final = "y"
_ANSWERS: Final = frozenset(("yes", "buy", "quantity", "choice", "number", "no"))
_PLAIN_ANSWERS: Final = frozenset(("yes", "buy", "no"))
_BESIDE_ANSWERS: Final = _PLAIN_ANSWERS | {"harmless", "name", "named", "address"}
MACHINE_WORDS_MIN: Final = 8  # fewer words with a stop among them may be a person's after all


# As the last word of a line that is no quotation.
_ENDS_IN_STOP: Final = re.compile(r"(?:\A|\n)(?!\s*>)[^\n]*?\b(?:stopp?|arr[eê]t)[\s.!]*\Z", re.IGNORECASE)


class Context(StrEnum):
    """What the sender number has open for this person."""

    OFFER = "offer"
    MULTI = "multi"
    NONE = "none"
    OPTIN = "optin"
    POLL = "poll"
    LIST = "list"


class Reading(NamedTuple):
    """
    The reading, with its reason in one sentence for the proof file.

    `quantity` is set with QUANTITY and is 1 with ACCEPT; `choice` is the words that name the variant;
    `reference` is the order number of a decline such as "NON 4711". `rules_version` names the tables that
    were used, `language` the one whose words decided.
    """

    label: Label
    rule: str
    reason: str
    quantity: int | None = None
    choice: str | None = None
    reference: str | None = None
    rules_version: str = ""
    language: str = "und"


def read_reply(
    text: str, language: str = "und", *, names: Iterable[str] = (), context: Context = Context.OFFER
) -> Reading:
    """
    Read one complete MO text.

    `language` is the subscriber's profile; it settles words that differ between languages. `names` are the
    shop's and the item's: they are harmless beside a yes.
    """
    found = _read(text[:TEXT_CHARACTERS_MAX], language, tuple(names), context)
    if len(text) > TEXT_CHARACTERS_MAX and found.label in ORDERING:
        found = Found(Label.UNCLEAR, "too_long", "The text is longer than what is read of it.")
    return Reading(*found[:-1], shared().version, found.language or language)


def _read(raw: str, language: str, names: tuple[str, ...], context: Context) -> Found:
    words = vocabulary(own_language(language))
    seen = clean(raw)
    text, own, alone = of_letters(seen, words), seen, True
    if text is None:
        ours = own_text(seen)
        if ours and all(_read(each, language, names, context).label is Label.UNCLEAR for each in ours.around):
            return Found(Label.AUTO, "own_text", f"A gateway wrote this: it is a whole {ours.kind!r}.")
        own = strip_quoted(seen)
        text = take_apart(own, words)
        alone = own.strip() == seen.strip()  # nothing was quoted or signed
    called = named(names)
    whole = text if alone else take_apart(seen, words)
    sign = machine(seen, whole) if whole.tokens else None
    if sign is not None and (head := before_cut(own)) is not None:
        text, alone = take_apart(head, words), False
    doubt, places = doubtful(text, sure=sign is not None)
    if places and (sign or doubt):
        text = without(text, places, words)
    asked = asking(text, words)
    if sign is None and doubt is None and (plainly := plain_stop(text, asked)) is not None:
        return _by_stop(plainly)
    segments = classify(text, words, called)
    stop, heard, negated = read_stop(text, words, segments, asked)
    if stop is None and not alone and _ENDS_IN_STOP.search(seen):
        stop = Stop("stop_last", "The text ends in 'stop', after a signature or a quotation.")
    if sign is not None:
        long = len(text.tokens) >= MACHINE_WORDS_MIN
        return _by_machine(sign, stop if heard or (alone and not long) else None)
    first = _answered_first(text, segments) if doubt else False
    if doubt and not (stop.sure if stop else first or _answered(segments)):
        return _by_machine(doubt, stop)
    if stop is not None:
        return _by_stop(stop)
    if not text.tokens and not text.emojis and not text.question:
        return Found(
            Label.UNCLEAR, "nothing_said", "Nothing is left once quotations and signatures are taken away."
        )
    if _alone(ENGLISH_YES, text, segments) and not language.casefold().startswith("en"):
        return Found(Label.UNCLEAR, "one_letter", f"{ENGLISH_YES!r} is a yes in English alone.")
    decided = decide(text, segments, called)
    found = _in_context(decided, context)
    if doubt and (decided.label in ORDERING or (decided.label is Label.DECLINE and not first)):
        return Found(Label.UNCLEAR, "machine_or_answer", f"{doubt!r} beside an answer may be a machine's.")
    if (heard and found.label is not Label.UNCLEAR) or (negated and found.label is Label.START):
        return Found(
            Label.UNCLEAR,
            "stop_heard",
            "A word of a stop is in the text, in a sentence that is not understood.",
        )
    return found


def _by_stop(stop: Stop) -> Found:
    label = Label.START if stop.rule == TAKEN_BACK else Label.STOP
    return Found(label, stop.rule, stop.reason, language=stop.language)


def _by_machine(sign: str, stop: Stop | None) -> Found:
    if stop is None or stop.rule == SLIP:
        return Found(Label.AUTO, "machine", f"A phone or a machine wrote this: {sign!r}.")
    said = f"{sign!r} may be a machine's, and a stop stands beside it."
    return Found(Label.UNCLEAR, "machine_or_stop", said)


def _answered(segments: list[Segment]) -> bool:
    """Return whether a yes or a no is among words that are all understood."""
    kinds = {segment.category for segment in segments}
    return kinds.isdisjoint(UNEXPLAINED) and not kinds.isdisjoint(_ANSWERS)


def _answered_first(text: TakenApart, segments: list[Segment]) -> bool:
    """Return whether the text begins with a clause that is a yes or a no alone: no phone does."""
    end = text.clauses[0][1] if text.clauses else 0
    kinds = {segment.category for segment in segments if segment.start < end}
    alone = kinds <= _BESIDE_ANSWERS and NOTHING_SAID not in text.tokens[:end]
    return alone and not kinds.isdisjoint(_PLAIN_ANSWERS)


def _alone(word: str, text: TakenApart, segments: list[Segment]) -> bool:
    """Return whether `word` stands in no longer phrase: the "y" of "allez-y" does."""
    return word in text.tokens and any(
        segment.end == segment.start + 1 and text.tokens[segment.start] == word for segment in segments
    )


def _in_context(found: Found, context: Context) -> Found:
    if context is Context.OFFER:
        return found
    ordering = found.label in ORDERING
    if context is Context.OPTIN and found.label is Label.ACCEPT:
        return Found(Label.START, "optin_yes", "A yes to the open question whether messages are wanted.")
    if context is Context.LIST and found.label is Label.QUANTITY:
        return Found(
            Label.CHOICE, "list_number", "The message listed numbered answers.", choice=str(found.quantity)
        )
    if context is Context.LIST and found.label is Label.ACCEPT:
        return Found(Label.UNCLEAR, "list_unnamed", "The message listed answers, and none of them is named.")
    if context is Context.POLL and ordering:
        return Found(Label.FEEDBACK, "poll_answer", "A rating question is open, no offer.")
    if (context in {Context.NONE, Context.OPTIN} and ordering) or (
        context is Context.MULTI and found.label in {Label.ACCEPT, Label.QUANTITY}
    ):
        return Found(
            Label.UNCLEAR, "no_single_offer", "There is not exactly one offer that this could answer."
        )
    return found
