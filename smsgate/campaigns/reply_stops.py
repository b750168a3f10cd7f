"""
Whether a reply asks for silence: a phrase, a word nearly alone, or two ideas in one clause.

All languages are looked at together, because a missed stop costs more than a doubtful one. What stands
inside a phrase that means something else ("bus stop", "can't stop listening") does not count.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.campaigns.reply_doubts import BANTER, bantered, wants_again
from smsgate.campaigns.reply_entries import BIT
from smsgate.campaigns.reply_phrases import UNEXPLAINED
from smsgate.campaigns.reply_requests import MISTAKEN, NOT, Hit, bits_of, meant, requests_in
from smsgate.campaigns.reply_slips import (
    BONES_MIN,
    NEAR_LETTERS_MIN,
    SINGLE_LETTERS_MIN,
    STRONG_LETTERS_MIN,
    Slip,
    bare,
    bones,
    nearest,
    one_edit,
    single,
)
from smsgate.campaigns.reply_tables import BONED
from smsgate.campaigns.reply_tokens import glued_stop
from smsgate.campaigns.reply_words import RESOLVED_MAX, forms, opening, shared

if TYPE_CHECKING:
    from smsgate.campaigns.reply_signatures import Segment
    from smsgate.campaigns.reply_tables import StopRule, Vocabulary
    from smsgate.campaigns.reply_tokens import TakenApart

SHORT_WORDS_MAX: Final = 3  # words besides a stop word that still leave it "nearly alone"
CLAUSE_WORDS_MAX: Final = 8  # of a clause that still is about the stop word it ends in
TOGETHER_WORDS_MAX: Final = 11  # words over which ideas are still said of one another
TOGETHER_HITS_MAX: Final = 64  # entries that may begin within them; a hostile text costs no more
IDEAS_KEPT: Final = 4_096  # combinations of ideas whose rules are kept
PIECES_MAX: Final = 4  # of a stop word that was typed in pieces
MIXED: Final = ("en", "fr")  # languages whose words people put into sentences of every other
SLIP_WORDS_MAX: Final = 12  # in a longer text some word is always one slip away from another
TAKEN_BACK: Final = "stop_taken_back"  # the rule of a stop that was a mistake: the contrary is wanted
SLIP: Final = "stop_slip"  # the rule of a stop that was typed with a slip of the finger
LENGTH_NEAR: Final = range(3, 6)  # letters of a word one slip away from "stop"

# "f***", "sh*t", "a**holes": what people do not spell out.
_CENSORED: Final = re.compile(
    r"(?<!\w)(?:[b-fhmpsw]\*{2,}|(?:sh|f|a|b|c|d|p|wh)\*+[a-z]|s(?:t\*|\*o|\*\*)p)", re.IGNORECASE
)

_STOP, _SHORT, _ALONE = BIT["stop"], BIT["stop_short"], BIT["stop_alone"]
_KEYWORD: Final = _SHORT | _ALONE
_ASKED: Final = _STOP | _KEYWORD | BIT["quit"]
_TURNED: Final = BIT["neg"] | BIT["who"]  # "who would want your texts": no start
_NOBODY: Final = BIT["neg"] | BIT["you"]  # "don't keep sending", "you keep sending"
# What may stand beside a stop word without making a sentence of it.
_BESIDE: Final = frozenset(
    ("harmless", "name", "named", "yes", "buy", "no", "number", "praise", "adverb", "pronoun")
)
_ASIDE: Final = frozenset(("harmless", "name", "named", "yes", "no", "adverb"))


class Stop(NamedTuple):
    """`sure`: a phrase, or a word that stands alone; not ideas that are joined, nor a word in a sentence."""

    rule: str
    reason: str
    language: str = ""
    sure: bool = True


class Asking(NamedTuple):
    """What in a text asks for silence, before its phrases are known: `bits` are those of all `hits`."""

    hits: list[Hit]
    bits: int
    sign: Stop | None  # a stop that is no entry of the stop lists


def asking(text: TakenApart, words: Vocabulary) -> Asking:
    """Return what asks for silence in a text."""
    sign = _sign(text)
    if sign is not None:
        return Asking([], 0, sign)
    hits = requests_in(text, words)
    return Asking(hits, bits_of(hits), None)


def plain_stop(text: TakenApart, asked: Asking) -> Stop | None:
    """
    Return the stop that a text asks for whatever its phrases are, as most stops do; None: `read_stop` says.

    No entry says that something else is meant, and none is said among friends.
    """
    hits, bits, sign = asked
    if sign is not None:
        return sign
    if not bits & _STOP or bits & (NOT | BANTER):
        return None
    stop = _phrase(text, hits)
    return _taking_back(stop) if _taken_back(text, hits, bits, stop) else stop


def read_stop(
    text: TakenApart, words: Vocabulary, segments: list[Segment], asked: Asking
) -> tuple[Stop | None, bool, bool]:
    """
    Return the stop that a text asks for, if it does.

    And whether a word of a stop was heard at all, and whether one that turns a sentence into its opposite
    was.
    """
    hits, bits, sign = asked
    if sign is not None:
        return sign, True, False
    if not hits and UNEXPLAINED.isdisjoint([segment.category for segment in segments]):
        return None, False, False
    kinds = _kinds(segments)
    taken: set[int] = set()
    if bits & NOT:
        hits, bits, taken = meant(text, hits, kinds)
    stop = _asked(text, hits, bits, kinds, segments) if bits else None
    if stop is None and "unknown" in kinds:
        stop = _slipped(text, words, kinds, taken)
        short = len(text.tokens) <= SLIP_WORDS_MAX
        mended = _mended(text, words, kinds, taken) if stop is None and short else None
        if mended is not None:
            found, together, _ = meant(mended, requests_in(mended, words), kinds)
            stop = _asked(mended, found, together, kinds, segments) if together else None
            stop = stop and stop._replace(rule=SLIP, sure=False)
    if stop is not None and bits & BANTER and bantered(hits, segments):
        return None, True, False
    if _taken_back(text, hits, bits, stop):
        stop = _taking_back(stop)
    heard = bits & _SHORT and any(
        hit.asks.bits & _SHORT and not _part_of_another(hit, segments) for hit in hits
    )
    return stop, bool(heard), bool(bits & _TURNED)


def _sign(text: TakenApart) -> Stop | None:
    """Return a stop that is a picture, or a word in pieces or with stars."""
    signed = text.emojis and not shared().emoji_stop.isdisjoint(text.emojis)
    if signed and len(text.tokens) <= SHORT_WORDS_MAX:
        return Stop("stop_sign", "A stop sign stands nearly alone.")
    if 1 < len(text.tokens) <= PIECES_MAX and text.tokens[0][0] == "s" and "".join(text.tokens) == "stop":
        return Stop("stop_word", "'stop' was typed in pieces.")
    if "*" in text.own and _CENSORED.search(text.own):
        return Stop("insult", "A word is written with stars in the place of letters.")
    return None


def _phrase(text: TakenApart, hits: list[Hit]) -> Stop:
    """Return the stop of the first phrase that is one by itself."""
    hit = next(hit for hit in hits if hit.asks.bits & _STOP)
    return Stop("stop_phrase", f"{_words(text, hit)!r} asks for no more messages.", hit.asks.by[0][0])


def _taking_back(stop: Stop | None) -> Stop:
    said = "The stop that was sent is called a mistake or past, and messages are wanted."
    return Stop(TAKEN_BACK, said, stop.language if stop is not None else "")


def _asked(
    text: TakenApart, hits: list[Hit], bits: int, kinds: list[str], segments: list[Segment]
) -> Stop | None:
    if bits & _STOP:
        return _phrase(text, hits)
    stop = _joined(text, hits, kinds)
    if stop is None and bits & _KEYWORD:
        alone = [hit for hit in hits if not _part_of_another(hit, segments)]
        stop = _nearly_alone(text, alone, kinds) or _alone(text, alone, kinds, segments)
    return stop


def _taken_back(text: TakenApart, hits: list[Hit], bits: int, stop: Stop | None) -> bool:
    """Return whether a stop is called a mistake or past beside a wish for messages: "stop was a mistake"."""
    if text.question:
        return False
    if bits & BIT["again"] and wants_again(text, hits):
        return True
    if stop is None or bits & MISTAKEN != MISTAKEN or not bits & _ASKED:
        return False
    before = {hit.end for hit in hits if hit.asks.bits & _NOBODY} - {start for start, _ in text.clauses}
    return any(hit.asks.bits & BIT["resume"] and hit.start not in before for hit in hits)


def _mended(text: TakenApart, words: Vocabulary, kinds: list[str], taken: set[int]) -> TakenApart | None:
    """Return the text with words of the stop lists in the place of what is one slip away from them."""
    tokens = [
        _slip(token, words).word if kind == "unknown" and place not in taken else token
        for place, (token, kind) in enumerate(zip(text.tokens, kinds, strict=True))
    ]
    if tokens == text.tokens:
        return None
    spellings = [
        spelled if token == was else forms(token)
        for token, was, spelled in zip(tokens, text.tokens, text.spellings, strict=True)
    ]
    openings = [opening(token, spelled, words) for token, spelled in zip(tokens, spellings, strict=True)]
    mended = replace(text, tokens=tokens, spellings=spellings, openings=openings)
    mended.look_up()
    return mended


def _words(text: TakenApart, hit: Hit) -> str:
    return " ".join(text.tokens[hit.start : hit.end])


def _part_of_another(hit: Hit, segments: list[Segment]) -> bool:
    """Return whether a longer phrase holds the hit and says otherwise: "un-stop", "cancel order"."""
    for segment in segments:
        if segment.start <= hit.start and hit.end <= segment.end:
            longer = segment.end - segment.start > hit.end - hit.start
            return longer and segment.category in {"start", "no"} and bool(hit.asks.bits & _KEYWORD)
    return False


def _kinds(segments: list[Segment]) -> list[str]:
    """Return by token the category of its phrase."""
    kinds: list[str] = []
    for category, _, start, end, _ in segments:
        kind = "unknown" if category in UNEXPLAINED else category
        if end == start + 1:
            kinds.append(kind)
        else:
            kinds += [kind] * (end - start)
    return kinds


def _joined(text: TakenApart, hits: list[Hit], kinds: list[str]) -> Stop | None:
    """Return the first rule whose ideas stand close together in one clause, in one language or two."""
    for (start, end), asked in zip(text.clauses, text.asked, strict=True):
        inside = hits if len(text.clauses) == 1 else [hit for hit in hits if start <= hit.start < end]
        common = BIT["question"] if asked else 0
        if "item" in kinds[start:end] or not shared().order_nouns.isdisjoint(text.tokens[start:end]):
            common |= BIT["item"]
        if not {"name", "owner", "introduced"}.isdisjoint(kinds[start:end]):
            common |= BIT["name"]
        bits = common
        for hit in inside:
            bits |= hit.asks.bits
        rules = _rules_of(bits)
        if not rules:
            continue
        whole: dict[str, int] = {}
        for hit in inside:
            for language, mask in hit.asks.by:
                whole[language] = whole.get(language, 0) | mask
        for place, first in enumerate(inside):
            masks: dict[str, int] = {}
            for hit in inside[place : place + TOGETHER_HITS_MAX]:
                if hit.end <= first.start + TOGETHER_WORDS_MAX:
                    for language, mask in hit.asks.by:
                        masks[language] = masks.get(language, 0) | mask
            mixed = 0
            for language in MIXED:
                mixed |= masks.get(language, 0)
            for language, mask in masks.items():
                near, clause = mask | mixed | common, whole[language] | common
                for rule in rules:
                    if near & rule.needs == rule.needs and not clause & rule.without:
                        said = " ".join(text.tokens[start:end])
                        return Stop(rule.name, f"{said[:80]!r} {rule.reason}.", language, sure=False)
    return None


@lru_cache(maxsize=IDEAS_KEPT)
def _rules_of(bits: int) -> tuple[StopRule, ...]:
    """Return the rules whose ideas are all among `bits`."""
    return tuple(rule for rule in shared().rules if bits & rule.needs == rule.needs)


def _nearly_alone(text: TakenApart, hits: list[Hit], kinds: list[str]) -> Stop | None:
    """Return a stop word that few other words of its clause stand beside."""
    for start, end in text.clauses:
        others = _others(kinds[start:end])
        for hit in hits:
            if not (start <= hit.start and hit.end <= end and hit.asks.bits & _SHORT):
                continue
            beside = others - _others(kinds[hit.start : hit.end])
            if beside <= SHORT_WORDS_MAX:
                said = f"{_words(text, hit)!r} stands nearly alone in its clause."
                return Stop("stop_word", said, hit.asks.by[0][0], sure=not beside)
            if not _others(kinds[start : hit.start]):
                said = f"{_words(text, hit)!r} begins a clause."
                return Stop("stop_begins", said, hit.asks.by[0][0], sure=False)
            if not _others(kinds[hit.end : end]) and others <= CLAUSE_WORDS_MAX:
                said = f"{_words(text, hit)!r} ends a clause."
                return Stop("stop_ends", said, hit.asks.by[0][0], sure=False)
    return None


def _others(kinds: list[str]) -> int:
    return sum(kind not in _BESIDE for kind in kinds)


def _slipped(text: TakenApart, words: Vocabulary, kinds: list[str], taken: set[int]) -> Stop | None:
    """Return a stop word with one slip of the finger, nearly alone in its clause."""
    for start, end in text.clauses:
        others = _others(kinds[start:end])
        for place in range(start, end):
            if kinds[place] == "unknown" and place not in taken and others - 1 <= SHORT_WORDS_MAX:
                word = text.tokens[place]
                meant = _slip(word, words).stop
                if meant:
                    return Stop(SLIP, f"{word!r} is {meant!r} with one slip of the finger.", sure=False)
    return None


def _slip(word: str, words: Vocabulary) -> Slip:
    found = words.slips.get(word)
    if found is None:
        spelled = word in shared().real_words
        found = Slip(None, word) if spelled else Slip(_stop_meant(word, words), _word_meant(word, words))
        if len(words.slips) < RESOLVED_MAX:
            words.slips[word] = found
    return found


def _stop_meant(word: str, words: Vocabulary) -> str | None:
    if glued_stop(word) or word in shared().glued:
        return "stop"
    if len(word) in LENGTH_NEAR and word not in shared().neighbours_not and one_edit(word, "stop"):
        return "stop"
    if len(word) < STRONG_LETTERS_MIN - 1:
        return None
    own = nearest(word, words.strong, loosely=True)
    return own if own is not None or word in shared().known else nearest(word, shared().strong)


def _word_meant(word: str, words: Vocabulary) -> str:
    """Return the word of the stop lists that `word` is meant to be, or `word`."""
    if word in words.near.get(word, ()):
        return word
    arabic = words.language == BONED or (not word.isalpha() and not word.isdecimal())
    if arabic and word not in words.words and len(bones(word)) >= BONES_MIN:
        foreign = word in shared().neighbours_not  # "stp" is French for please
        return word if foreign else shared().bones.get(bones(word), word)
    if not word.isascii() and bare(word) != word:
        return bare(word)
    meant = nearest(word, words.near) if len(word) >= NEAR_LETTERS_MIN - 1 else None
    if meant is None and len(word) >= SINGLE_LETTERS_MIN and word not in shared().known:
        meant = words.single.get(single(word))
    return meant or word


def _alone(text: TakenApart, hits: list[Hit], kinds: list[str], segments: list[Segment]) -> Stop | None:
    """Return a word that asks for silence when it is all that was said, or the last thing."""
    whole = {
        place
        for segment in segments
        for place in range(segment.start, segment.end)
        if segment.end - segment.start > 1
    }
    for hit in hits:
        if not hit.asks.bits & _KEYWORD:
            continue
        places = set(range(hit.start, hit.end))
        if not places.isdisjoint(whole) and not _covered(hit, segments):
            continue  # "cancel" in "cancel order"
        said = text.tokens[hit.start : hit.end]
        rest = [
            kinds[place]
            for place in range(len(text.tokens))
            if place not in places and [text.tokens[place]] != said
        ]
        if tuple(said) in shared().farewells and not _SAID.isdisjoint(rest):
            continue
        if all(kind in _ASIDE for kind in rest):
            return Stop("stop_alone", f"{_words(text, hit)!r} is all that was said.", hit.asks.by[0][0])
        last = text.clauses[-1]
        if len(text.clauses) > 1 and last[0] <= hit.start and "#" not in text.tokens:
            beside = [kinds[place] for place in range(*last) if place not in places]
            before = [kinds[place] for place in range(last[0])]
            if all(kind in _ASIDE for kind in beside) and "unknown" not in before:
                return Stop("stop_last", f"The text ends with {_words(text, hit)!r}.", hit.asks.by[0][0])
    return None


# Beside what decides, a farewell is one, and no request.
_SAID: Final = frozenset(("yes", "buy", "number", "quantity", "choice"))


def _covered(hit: Hit, segments: list[Segment]) -> bool:
    """Return whether every longer phrase that touches the hit lies within it."""
    return all(
        hit.start <= segment.start and segment.end <= hit.end
        for segment in segments
        if segment.start < hit.end and hit.start < segment.end
    )
