"""What a reply decides: an order only when every word of it is understood."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.campaigns.reply_doubts import (
    another_thing,
    beside_a_sure_answer,
    besides,
    numbered,
    owned,
    placed,
    priced,
)
from smsgate.campaigns.reply_phrases import UNEXPLAINED
from smsgate.campaigns.reply_stops import SHORT_WORDS_MAX
from smsgate.campaigns.reply_tables import NUMBER
from smsgate.campaigns.reply_tokens import CLOCK
from smsgate.campaigns.reply_tries import MEANING
from smsgate.campaigns.reply_variants import two_attributes, variants
from smsgate.campaigns.reply_words import shared

if TYPE_CHECKING:
    from smsgate.campaigns.reply_signatures import Segment
    from smsgate.campaigns.reply_tokens import TakenApart

QUANTITY_BARE_MAX: Final = 20  # a larger number without a yes-word is a price, a year, a code
QUANTITY_NOUN_MAX: Final = 99  # "order 4711" names an order
DECLINE_WORDS_MAX: Final = 6  # unknown words beside a no: a longer sentence is about something else
ORDINAL_MAX: Final = 4  # "the 5th" is a day more often than one of five offers
TENS: Final = range(20, 100, 10)

Unsure = tuple[str, str]


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


ORDERING: Final = frozenset((Label.ACCEPT, Label.QUANTITY, Label.CHOICE))


class Found(NamedTuple):
    """A reading before it is stamped with language and version."""

    label: Label
    rule: str
    reason: str
    quantity: int | None = None
    choice: str | None = None
    reference: str | None = None
    language: str = ""


class Heard(NamedTuple):
    """The phrases of a reply by category, in their order, and the words that nothing explains."""

    by: dict[str, list[str]]
    unknown: list[str]
    numbers: list[int]
    chosen: list[int]  # numbers that name a variant
    language: str  # of the first phrase that decides
    cut_off: bool
    plain_yes: bool  # a yes that is more than "OK" stands in it
    yes_last: bool  # and behind all weak words
    segments: list[Segment]
    names: frozenset[str]


def _only_signed(text: TakenApart, segments: list[Segment]) -> list[Segment]:
    """
    Take a name in the middle, or one that belongs to what stands before it, for a word that is not
    understood.

    People sign first or last: "OK Julien", "Ann: yes", but not "the last of Celine" or "for Ann".
    """
    for segment in segments:
        if segment.category == "name":
            break
    else:
        return segments
    last = len(segments)
    while last and segments[last - 1].category in {"name", "harmless"}:
        last -= 1
    first = 0
    while first < last and segments[first].category in {"name", "harmless"}:
        first += 1
    begins = {start for start, _ in text.clauses}
    if last and last < len(segments) and segments[last].start not in begins:
        attached = segments[last].category == "name" and segments[last - 1].category in _BEFORE_A_NAME
        titled = text.tokens[segments[last - 1].end - 1] == "m"
        last = len(segments) if attached and not titled else last
    middle = [
        segment._replace(category="unknown") if segment.category == "name" else segment
        for segment in segments[first:last]
    ]
    return [*segments[:first], *middle, *segments[last:]]


_BEFORE_A_NAME: Final = frozenset(("function", "choice", "item", "pronoun", "named", "praise", "interest"))


def decide(text: TakenApart, segments: list[Segment], names: frozenset[str]) -> Found:
    """Return what the phrases of a text decide; `names` are the words of the shop's and the item's names."""
    if len(segments) > 1:
        segments = _only_signed(text, variants(text, segments))
    heard = _hear(text, segments, names)
    by = heard.by
    if text.emojis and not shared().emoji_no.isdisjoint(text.emojis):
        by.setdefault("no", []).append("a negative sign")
    if not text.tokens and not text.question:
        if "no" in by and len(set(text.emojis)) == 1:
            return Found(Label.DECLINE, "emoji_no", "A negative sign stands alone.")
        return Found(
            Label.UNCLEAR, "no_words", "There are no words; a sign alone is easily tapped by mistake."
        )
    return Found(*_decision(text, heard)[:-1], heard.language)


def _hear(text: TakenApart, segments: list[Segment], names: frozenset[str]) -> Heard:
    by: dict[str, list[str]] = {}
    unknown: list[str] = []
    numbers: list[int] = []
    chosen: list[int] = []
    language, tens, parts = "", False, 0
    plain_yes = weak = -1  # the places of the last ones
    before: Segment | None = None
    for place, segment in enumerate(segments):
        category, _, start, end, _ = segment
        said = text.tokens[start] if end == start + 1 else " ".join(text.tokens[start:end])
        if category in UNEXPLAINED or category == "owner":  # who signs writes no "Annas"
            unknown.append(said)
        else:
            by.setdefault(category, []).append(said)
        if category == "number":
            if _said_twice(text, before, segment):
                continue
            if _one_of_them(text, segments, place, numbers, parts):
                parts += 1
                continue
            before = segment
            if tens and segment.value < TENS.step:
                numbers[-1] += segment.value
            else:
                numbers.append(segment.value)
            tens = numbers[-1] in TENS
            continue
        tens, before = False, None
        if category == "yes":
            plain_yes = plain_yes if text.tokens[start] in _OK_LIKE else place
        elif category == "weak":
            weak = place
        elif category == "choice":
            chosen += [text.values[i] for i in range(start, end) if text.values[i]][:1]
        elif category in {"quantity", "split"}:
            if category == "split":
                unknown += _swallowed(text, segment)
            unknown += _cut_numbers(text, segment)
            numbers += [text.values[i] for i in range(start, end) if text.values[i]]
        if not language and category in _DECIDING:
            language = segment.language
    if text.emojis:
        usual = shared().emoji_harmless | shared().emoji_no
        unknown += [f"U+{ord(emoji):04X}" for emoji in text.emojis if emoji not in usual]
    if text.sad:
        unknown.append("a sad face")
    cut_off = _breaks_off(text, segments, by, numbers)
    plain, last = plain_yes >= 0, plain_yes > weak
    return Heard(by, unknown, numbers, chosen, language, cut_off, plain, last, segments, names)


def _said_twice(text: TakenApart, before: Segment | None, number: Segment) -> bool:
    """Return whether a number is the one before it, in the other spelling: "two (2)"."""
    if before is None or before.value != number.value:
        return False
    return (text.tokens[before.start] == NUMBER) != (text.tokens[number.start] == NUMBER)


def _one_of_them(
    text: TakenApart, segments: list[Segment], place: int, numbers: list[int], parts: int
) -> bool:
    """Return whether a one says what one of a stated number is for: "two, one is a present"."""
    one = segments[place]
    return (
        one.value == 1
        and len(numbers) == 1
        and parts < numbers[0] > 1
        and place + 1 < len(segments)
        and segments[place + 1].category in {"purpose", "use"}
        and one.start in {start for start, _ in text.clauses}
    )


def _cut_numbers(text: TakenApart, frame: Segment) -> list[str]:
    """Return numbers of several words of which a frame took the first alone: "can I get one dozen"."""
    return [
        text.tokens[place]
        for place in range(frame.start, frame.end)
        if text.values[place]
        and any(
            length > 1 and meaning.category == "number" and meaning.value != text.values[place]
            for length, meaning in text.found[place][MEANING]
        )
    ]


def _swallowed(text: TakenApart, split: Segment) -> list[str]:
    """Return the words that name nobody where a total's parts name people: "one for mum and maybe"."""
    people = shared()
    return [
        token
        for place, token in enumerate(text.tokens[split.start : split.end], split.start)
        if not (text.values[place] or token in people.relatives or token in people.names)
        and not any(said.category in _JOINING for _, said in text.openings[place].alone[MEANING])
    ]


_JOINING: Final = frozenset(("function", "pronoun", "harmless", "item", "adverb"))


def _breaks_off(
    text: TakenApart, segments: list[Segment], by: dict[str, list[str]], numbers: list[int]
) -> bool:
    """Return whether a text ends where another word must come: "ok for the"; "ok well" says too little."""
    spoken = [segment for segment in segments if segment.category != "name"]
    if "adverb" in by and "buy" not in by and not numbers:
        firm = [segment.category for segment in spoken if segment.category != "harmless"]
        if firm[-1] == "adverb":
            return True
    if "function" not in by:
        return False
    last = spoken[-1]
    titled = text.tokens[last.end - 1] == "m" and last.end < len(text.tokens)  # "M. Dupont"
    return last.category == "function" and not titled


_DECIDING: Final = frozenset(
    ("yes", "buy", "no", "start", "help", "choice", "quantity", "unclear", "feedback", "question")
)


def _decision(text: TakenApart, heard: Heard) -> Found:
    by, unknown = heard.by, heard.unknown
    yes = by.get("yes", []) + by.get("buy", []) + by.get("quantity", [])
    no = by.get("no", [])
    asked = text.question or "help" in by or "question" in by
    if (
        "start" in by
        and not no
        and len(unknown) <= SHORT_WORDS_MAX
        and not text.question
        and "unclear" not in by
    ):
        return Found(Label.START, "start_word", f"{by['start'][0]!r} asks for messages.")
    if yes and no:
        return Found(Label.UNCLEAR, "both_answers", f"{yes[0]!r} and {no[0]!r} contradict each other.")
    if no:
        return _decline(text, heard)
    if yes or heard.numbers or "choice" in by:
        return _order(text, heard, yes, asked=asked)
    if "unclear" in by and not text.question and "help" not in by:
        return Found(Label.UNCLEAR, "undecided", f"{by['unclear'][0]!r} decides nothing.")
    if asked:
        return Found(Label.HELP, "question", "A question, or a word that asks for help.")
    if "feedback" in by or "joy" in by or ("praise" in by and (unknown or "item" in by)):
        said = (by.get("feedback") or by.get("joy") or by["praise"])[0]
        return Found(Label.FEEDBACK, "opinion", f"{said!r} is an opinion.")
    return Found(Label.UNCLEAR, "not_understood", "No word decides anything.")


def _decline(text: TakenApart, heard: Heard) -> Found:
    no, unknown = heard.by["no"][0], heard.unknown
    if text.question:
        return Found(Label.UNCLEAR, "no_question", f"{no!r} with a question mark.")
    if heard.numbers:
        if len(heard.numbers) == 1 and heard.numbers[0] > QUANTITY_NOUN_MAX and len(unknown) <= 2:
            reference = str(heard.numbers[0])
            said = f"{no!r} names order {reference}."
            return Found(Label.DECLINE, "cancel_order", said, reference=reference)
        if NUMBER in text.tokens or any(number > 1 for number in heard.numbers):
            return Found(Label.UNCLEAR, "no_with_number", f"{no!r} beside a number.")
    if "unclear" in heard.by and heard.by["unclear"][-1] not in _SOFT_NO:
        return Found(Label.UNCLEAR, "no_reserved", f"{heard.by['unclear'][0]!r} limits the no.")
    if len([word for word in unknown if word not in {"¤", CLOCK}]) > DECLINE_WORDS_MAX:
        return Found(Label.UNCLEAR, "no_in_sentence", f"{no!r} stands in a longer sentence.")
    return Found(Label.DECLINE, "no_word", f"{no!r} declines.")


_SOFT_NO: Final = frozenset(("maybe", "peut etre", "vielleicht", "kanske", "ehka", "misschien"))


def _order(text: TakenApart, heard: Heard, yes: list[str], *, asked: bool) -> Found:
    """Everything must be understood before a text orders: one word too many makes it unclear."""
    doubt = _doubt(text, heard, yes, asked=asked)
    if doubt is not None:
        return Found(Label.UNCLEAR, *doubt)
    numbers = heard.numbers
    if "choice" in heard.by:
        choice = heard.by["choice"][0].replace("#", str(heard.chosen[0]) if heard.chosen else "#")
        return Found(Label.CHOICE, "choice", f"{choice!r} names a variant.", choice=choice)
    if not numbers:
        return Found(Label.ACCEPT, "yes_word", f"{yes[0]!r} and nothing that limits it.", quantity=1)
    number = (_total(numbers) if "split" in heard.by else 0) or numbers[0]
    if yes or number <= QUANTITY_BARE_MAX:
        rule = "yes_number" if yes else "bare_number"
        return Found(Label.QUANTITY, rule, f"The number {number} is the quantity.", quantity=number)
    return Found(Label.UNCLEAR, "bare_number_large", f"{number} without a yes-word is no quantity.")


def _doubt(text: TakenApart, heard: Heard, yes: list[str], *, asked: bool) -> Unsure | None:
    by = heard.by
    if asked:
        return "under_question", "An answer under a question is no order."
    if text.dots:
        return "hesitation", "The answer trails off."
    if text.starred:
        return "correction", "A correction towards yes is confirmed first."
    if heard.unknown:
        return "left_over", f"{heard.unknown[0]!r} is not understood beside an answer."
    for category in ("unclear", "start", "feedback"):
        if category in by:
            return "reserve", f"{by[category][0]!r} limits the answer."
    if "function" in by:
        if owned(text, heard.segments):
            return "owned", "The thing is called the customer's own: it may be another one."
        several = len(by.get("choice", ())) > 1 and two_attributes(text, heard.segments)
        if besides(text, heard.segments, one_variant=several):
            return "more", "Something is asked for besides the offer."
    if heard.cut_off:
        return "cut_off", "The text breaks off after a word that asks for another."
    plainly = "buy" in by or (heard.yes_last and "item" not in by)
    if "buy" not in by and not heard.numbers and "choice" not in by:
        other = another_thing(by.get("item", ()), heard.names)
        if other:
            return "another_thing", f"{other!r} may be another thing than the one that is offered."
        if "pronoun" in by:
            return "pointing", f"{by['pronoun'][0]!r} says not what is wanted."
    if "interest" in by and "buy" not in by:
        return "interest", f"{by['interest'][0]!r} is interest and not yet an order."
    if "weak" in by and not plainly:
        return "weak_yes", f"{by['weak'][0]!r} may mean go on or no need."
    pleased = by.get("praise") or by.get("joy")
    if pleased and "buy" not in by and not (heard.plain_yes and "item" not in by):
        return "acknowledged", f"{pleased[0]!r} may answer without ordering."
    doubt = beside_a_sure_answer(by, plain=heard.plain_yes, counted=bool(heard.numbers))
    if doubt is not None:
        return doubt
    return _doubtful_number(text, heard, yes)


def _total(numbers: list[int]) -> int:
    """Return the first or the last of three numbers or more when it is the sum of the others; 0 else."""
    if len(numbers) > 2:
        for total, parts in ((numbers[0], numbers[1:]), (numbers[-1], numbers[:-1])):
            if total == sum(parts):
                return total
    return 0


# "OK" beside praise may say no more than "heard".
_OK_LIKE: Final = frozenset(
    ("ok", "okay", "okey", "oki", "okej", "okei", "oke", "okok", "k", "اوك", "اوكي", "ок", "окей")
)


def _doubtful_number(text: TakenApart, heard: Heard, yes: list[str]) -> Unsure | None:
    by, numbers = heard.by, heard.numbers
    if "choice" in by:
        if "#e" in by["choice"][0] and heard.chosen[0] > ORDINAL_MAX:
            return "date", f"{heard.chosen[0]} may be a day."
        if len(by["choice"]) > 1 and not two_attributes(text, heard.segments):
            return "two_choices", "More than one variant is named."
        if len(heard.chosen) > 1 or len(numbers) > 1 or any(n > 1 for n in numbers):
            return "two_choices", "More than one variant or number is named."
        return None
    if "split" in by:
        return None if _total(numbers) else ("two_numbers", "The numbers do not add up.")
    if len(numbers) > 1:
        return "two_numbers", "More than one number is named."
    if numbers and not yes and (place := placed(text, heard.segments)):
        return "placed_number", f"A number behind {place!r} may be a time, a place or a share."
    if numbers and priced(text, heard.segments):
        return "priced", "The number may be what the customer would pay."
    if numbers and numbered(text, heard.segments):
        return "numbered_item", "The number stands behind what is sold and may name it."
    if numbers and numbers[0] > QUANTITY_NOUN_MAX and shared().order_nouns.issuperset(yes):
        return "order_reference", f"{numbers[0]} is the number of an order, not of pieces."
    return None
