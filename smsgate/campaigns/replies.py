"""
What a customer's reply means. Deterministic: the same text, language and rules give the same reading for
ever.

An order binds a buyer, so whatever is not fully understood is `unclear` and gets one question back; a stop
must never
be missed, so it wins over everything else in the same text. Tables: `words/*.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from smsgate.campaigns.reply_tokens import (
    TakenApart,
    blank,
    find,
    find_phrases,
    near_stop,
    strip_quoted,
    take_apart,
)
from smsgate.campaigns.reply_words import Vocabulary, plain, vocabulary

TEXT_CHARACTERS_MAX: Final = 1_600  # ten segments; what a person writes beyond is not read
QUANTITY_BARE_MAX: Final = 20  # a larger number without a yes-word is a price, a year, a code
QUANTITY_NOUN_MAX: Final = 99  # "order 4711" names an order
SHORT_WORDS_MAX: Final = 3  # words besides a stop word that still leave it "nearly alone"
DECLINE_WORDS_MAX: Final = 6  # unknown words beside a no: a longer sentence is about something else


class Label(StrEnum):
    ACCEPT = "accept"
    QUANTITY = "quantity"
    CHOICE = "choice"
    DECLINE = "decline"
    STOP = "stop"
    START = "start"
    HELP = "help"
    FEEDBACK = "feedback"
    AUTO = "auto"
    UNCLEAR = "unclear"


class Context(StrEnum):
    """What the sender number has open for this person."""

    OFFER = "offer"
    MULTI = "multi"
    NONE = "none"
    OPTIN = "optin"
    POLL = "poll"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Reading:
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

    `language` is the subscriber's profile; it only settles words that differ between languages. `names` are
    the shop's and
    the item's: they are harmless beside a yes.
    """
    words = vocabulary(language)
    reading = _read(text[:TEXT_CHARACTERS_MAX], words, names)
    reading = _in_context(reading, context)
    return Reading(
        reading.label,
        reading.rule,
        reading.reason,
        reading.quantity,
        reading.choice,
        reading.reference,
        words.version,
        language,
    )


def _read(raw: str, words: Vocabulary, names: Iterable[str]) -> Reading:
    machine = _machine(raw, words)
    if machine is not None:
        return machine
    own = strip_quoted(raw, words)
    if not own.strip():
        return Reading(
            Label.UNCLEAR, "nothing_said", "Nothing is left once quoted text and signatures are taken away."
        )
    text = take_apart(own, words)
    return _stop(text, words) or _decide(text, words, names)


def _in_context(reading: Reading, context: Context) -> Reading:
    ordering = reading.label in {Label.ACCEPT, Label.QUANTITY, Label.CHOICE}
    if context is Context.OPTIN and reading.label is Label.ACCEPT:
        return Reading(Label.START, "optin_yes", "A yes to the open question whether messages are wanted.")
    if context is Context.LIST and reading.label is Label.QUANTITY:
        return Reading(
            Label.CHOICE, "list_number", "The message listed numbered answers.", choice=str(reading.quantity)
        )
    if context is Context.POLL and ordering:
        return Reading(Label.FEEDBACK, "poll_answer", "A rating question is open, no offer.")
    if (context is Context.NONE and ordering) or (
        context is Context.MULTI and reading.label in {Label.ACCEPT, Label.QUANTITY}
    ):
        return Reading(
            Label.UNCLEAR, "no_single_offer", "There is not exactly one offer that this could answer."
        )
    return reading


def _machine(raw: str, words: Vocabulary) -> Reading | None:
    folded = " ".join(re.sub(r"[.,;:!\-–—()]", " ", plain(raw)).split())
    for match in words.auto.finditer(folded):
        if match.start() == 0 or not folded[match.start() - 1].isalnum():
            return Reading(Label.AUTO, "machine", f"A phone or a machine wrote this: {match[0]!r}.")
    return None


def _stop(text: TakenApart, words: Vocabulary) -> Reading | None:
    if any(emoji in words.emoji_stop for emoji in text.emojis) and len(text.flat.split()) <= SHORT_WORDS_MAX:
        return Reading(Label.STOP, "stop_sign", "A stop sign stands nearly alone.")
    searched = blank(text.flat, words.not_stop)
    found = find(searched, words.stop)
    if found:
        return Reading(Label.STOP, "stop_phrase", f"{found!r} asks for no more messages.")
    harmless = dict(words.categories)["harmless"]
    for clause in text.clauses:
        # Two words are never a phrase with a stop in it: "non stop" from a phone means no and stop.
        kept = clause if len(text.flat.split()) <= 2 else blank(clause, words.not_stop)
        word = find(kept, words.stop_short) or near_stop(kept, words)
        if word:
            others = [w for w in blank(clause, harmless).split() if w not in {word, "¤", "#"}]
            if len(others) <= SHORT_WORDS_MAX:
                return Reading(Label.STOP, "stop_word", f"{word!r} stands nearly alone in its clause.")
    rest = blank(searched, harmless).strip()
    cancels_order = any(
        rest in phrase.split() for phrase in find_phrases(text.flat, dict(words.categories)["no"])
    )
    if rest and words.stop_alone.fullmatch(rest) and not cancels_order:
        return Reading(Label.STOP, "stop_alone", f"{rest!r} is all that was said.")
    last = text.clauses[-1] if text.clauses else ""
    if last and len(text.clauses) > 1 and words.stop_alone.fullmatch(blank(last, harmless).strip()):
        alone = blank(blank(last, words.not_stop), harmless).strip()
        if alone and "#" not in text.flat and find(alone, words.stop_alone):
            return Reading(Label.STOP, "stop_last", f"The text ends with {alone!r}.")
    return None


def _classify(
    text: TakenApart, words: Vocabulary, names: Iterable[str]
) -> tuple[dict[str, list[str]], list[str]]:
    """Return the phrases found per category, longest first, and the words that nothing explains."""
    named = {word for name in names for word in re.findall(r"\w+", plain(name))}
    found: dict[str, list[str]] = {}
    unknown: list[str] = []
    position = 0
    while position < len(text.flat):
        best, best_name = "", ""
        for name, pattern in words.categories:
            match = pattern.match(text.flat, position)
            if match and len(match[0]) > len(best):
                best, best_name = match[0], name
        if not best:
            best = text.flat[position:].split(" ", 1)[0]
            if best in named:
                best_name = "harmless"
            elif best == "#":
                best_name = "number"
        if best_name:
            found.setdefault(best_name, []).append(best)
        else:
            unknown.append(best)
        position += len(best)
        while position < len(text.flat) and text.flat[position] == " ":
            position += 1
    return found, unknown


def _decide(text: TakenApart, words: Vocabulary, names: Iterable[str]) -> Reading:
    found, unknown = _classify(text, words, names)
    if any(emoji in words.emoji_no for emoji in text.emojis):
        found.setdefault("no", []).append("emoji")
    strange = [e for e in text.emojis if e not in words.emoji_harmless and e not in words.emoji_no]
    unknown += [f"U+{ord(e):04X}" for e in strange]
    yes = found.get("yes", []) + found.get("strong", []) + found.get("quantity", [])
    no = found.get("no", [])
    asked = text.question or "help" in found or find(text.flat, words.question) is not None
    if not text.flat and not text.question:
        if no:
            return Reading(Label.DECLINE, "emoji_no", "A negative sign stands alone.")
        return Reading(
            Label.UNCLEAR, "no_words", "There are no words; a sign alone is easily tapped by mistake."
        )
    if "start" in found and not no and len(unknown) <= SHORT_WORDS_MAX and not text.question:
        return Reading(Label.START, "start_word", f"{found['start'][0]!r} asks for messages.")
    if yes and no:
        return Reading(Label.UNCLEAR, "both_answers", f"{yes[0]!r} and {no[0]!r} contradict each other.")
    if no:
        return _decline(text, found, unknown)
    if yes or text.numbers or "choice" in found:
        return _order(text, words, found, unknown, yes, asked=asked)
    if "unclear" in found and not text.question:
        return Reading(Label.UNCLEAR, "undecided", f"{found['unclear'][0]!r} decides nothing.")
    if asked:
        return Reading(Label.HELP, "question", "A question, or a word that asks for help.")
    if "feedback" in found:
        return Reading(Label.FEEDBACK, "opinion", f"{found['feedback'][0]!r} is an opinion.")
    return Reading(Label.UNCLEAR, "not_understood", "No word decides anything.")


def _decline(text: TakenApart, found: dict[str, list[str]], unknown: list[str]) -> Reading:
    no = found["no"][0]
    if text.question:
        return Reading(Label.UNCLEAR, "no_question", f"{no!r} with a question mark.")
    if text.numbers:
        if len(text.numbers) == 1 and text.numbers[0] > 99 and len(unknown) <= 2:
            reference = str(text.numbers[0])
            return Reading(
                Label.DECLINE, "cancel_order", f"{no!r} names order {reference}.", reference=reference
            )
        return Reading(Label.UNCLEAR, "no_with_number", f"{no!r} beside a number.")
    if len([word for word in unknown if word != "¤"]) > DECLINE_WORDS_MAX:
        return Reading(Label.UNCLEAR, "no_in_sentence", f"{no!r} stands in a longer sentence.")
    return Reading(Label.DECLINE, "no_word", f"{no!r} declines.")


def _order(
    text: TakenApart,
    words: Vocabulary,
    found: dict[str, list[str]],
    unknown: list[str],
    yes: list[str],
    *,
    asked: bool,
) -> Reading:
    """Everything must be understood before a text orders: one word too many makes it unclear."""
    doubt = _doubt(text, words, found, unknown, yes, asked=asked)
    if doubt is not None:
        return Reading(Label.UNCLEAR, *doubt)
    if "choice" in found:
        choice = found["choice"][0].replace("#", str(text.numbers[0]) if text.numbers else "#")
        return Reading(Label.CHOICE, "choice", f"{choice!r} names a variant.", choice=choice)
    if not text.numbers:
        return Reading(Label.ACCEPT, "yes_word", f"{yes[0]!r} and nothing that limits it.", quantity=1)
    number = text.numbers[0]
    if yes or number <= QUANTITY_BARE_MAX:
        rule = "yes_number" if yes else "bare_number"
        return Reading(Label.QUANTITY, rule, f"The number {number} is the quantity.", quantity=number)
    return Reading(Label.UNCLEAR, "bare_number_large", f"{number} without a yes-word is no quantity.")


def _doubt(
    text: TakenApart,
    words: Vocabulary,
    found: dict[str, list[str]],
    unknown: list[str],
    yes: list[str],
    *,
    asked: bool,
) -> tuple[str, str] | None:
    if asked:
        return "under_question", "An answer under a question is no order."
    if text.dots:
        return "hesitation", "The answer trails off."
    if text.starred:
        return "correction", "A correction towards yes is confirmed first."
    if unknown:
        return "left_over", f"{unknown[0]!r} is not understood beside an answer."
    for category in ("unclear", "start", "feedback"):
        if category in found:
            return "reserve", f"{found[category][0]!r} limits the answer."
    if "weak" in found and "strong" not in found:
        return "weak_yes", f"{found['weak'][0]!r} may mean go on or no need."
    if "choice" in found:
        numbers_in_choice = sum(piece.count("#") for piece in found["choice"])
        if len(found["choice"]) > 1 or len(text.numbers) > numbers_in_choice:
            return "two_choices", "More than one variant or number is named."
        return None
    if "split" in found:
        total, *parts = text.numbers
        return None if total == sum(parts) else ("two_numbers", "The numbers do not add up.")
    if len(text.numbers) > 1:
        return "two_numbers", "More than one number is named."
    if text.numbers and text.numbers[0] > QUANTITY_NOUN_MAX and words.order_nouns.issuperset(yes):
        return "order_reference", f"{text.numbers[0]} is the number of an order, not of pieces."
    return None
