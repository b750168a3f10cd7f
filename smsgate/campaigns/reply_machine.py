"""What no person wrote: reactions, driving and holiday answers, codes, notices of networks."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from smsgate.campaigns.reply_entries import FIRST, STRONG, TOLD, WEAK, plain
from smsgate.campaigns.reply_tables import NOTHING_SAID
from smsgate.campaigns.reply_tokens import QUOTE_CHARACTERS_MIN
from smsgate.campaigns.reply_tries import FOREIGN_STOP, MACHINE, STOP, prefix
from smsgate.campaigns.reply_words import forms, opening, shared

if TYPE_CHECKING:
    from smsgate.campaigns.reply_tables import Vocabulary
    from smsgate.campaigns.reply_tokens import TakenApart

REACTION_WORDS_MAX: Final = 4  # between the verb of a reaction and the quotation
_WORD: Final = re.compile(r"\w+|\"|[^\w\s]")
_QUOTE: Final = re.compile('[“”„«»"]')
_ENDS: Final = re.compile('[“”„«»"\n]')  # a quotation
_MEDIA: Final = frozenset(
    ("image", "photo", "picture", "video", "message", "gif", "sticker", "attachment", "voice", "audio",
     "bild", "foto", "imagen", "mensaje", "messaggio", "immagine", "imagem", "nachricht", "meddelande",
     "bericht", "afbeelding", "link")
)  # fmt: skip
_JOINERS: Final = frozenset(("to", "a", "auf", "op", "zu", "pa", "na", "til", "su", "an", "на", "bir"))
_CODE: Final = re.compile(
    r"\b(?:code|kod|codigo|codice|kode|pin|tan|otp|passcode|koodi|код)\b.{0,25}?[:=]?\s"
    r"(?:is |est |es |e |ist |lautet |ar )?\d{4,8}\b"
    r"|^(?:g-)?\d{4,8} (?:is|est|es|ist|e) (?:your|votre|su|tu|ihr|dein|il tuo)\b"
    r"|^\W*\d{4,8} code\b"
)
_BRACKETED: Final = re.compile(
    r"^\W{0,2}[\[(]?\s?(?:auto|automatic|automatique|auto-?reply|mode [a-z]+)\s?[\])]"
    r"|^auto ?:|^auto-?(?:reply|response)"
)
_DIGITS: Final = re.compile(r"\d{4}")
_VOICEMAIL: Final = re.compile(r"^voicemail\b")


def machine(seen: str, text: TakenApart) -> str | None:
    """
    Return the words that give a machine away for sure, or None.

    `seen` is the cleaned text and `text` the same taken apart, quotations included.
    """
    for start in text.machines:
        for length, kind in text.found[start][MACHINE]:
            if kind == STRONG or (kind == FIRST and start == 0):
                return " ".join(text.tokens[start : start + length])
    folded, letters = None, text.letters
    lower = seen.lower()
    if "auto" in lower or "mode" in lower or "voicemail" in lower or (not letters and _DIGITS.search(seen)):
        folded = plain(seen).strip()
        if _BRACKETED.search(folded) or _CODE.search(folded) or _VOICEMAIL.search(folded):
            return folded[:40]
    quoted = not letters and _QUOTE.search(seen) is not None
    if not quoted and text.spellings[0][-1] not in shared().reactions:
        return None
    tokens = _WORD.findall(folded or plain(seen))
    return _reaction(tokens, [piece for piece in tokens if piece[0].isalnum()], quoted=quoted)


def before_cut(own: str) -> str | None:
    """
    Return what stands before the quotation of a reaction where nothing ends it, as carriers cut it off.

    None: that is not so. What stands on another line, or beside a quotation that ends, may be a person's.
    """
    mark = _QUOTE.search(own)
    if mark is None or len(own) - mark.end() < QUOTE_CHARACTERS_MIN or _ENDS.search(own, mark.end()):
        return None
    tokens = _WORD.findall(plain(own))
    words = [piece for piece in tokens if piece[0].isalnum()]
    return own[: mark.start()] if _reaction(tokens, words, quoted=True) else None


def doubtful(text: TakenApart, *, sure: bool) -> tuple[str | None, list[int]]:
    """
    Return words that a machine may have written and a person, too ("I'm driving"), or None.

    And the places of all words that a machine may have written, but for what begins a longer entry of the
    stop lists. What is told there ("reply STOP to end") nobody asks for: to the end of its clause, and of the
    text beside a `sure` sign of a machine.
    """
    said: str | None = None
    places: list[int] = []
    for start in text.machines:
        found = text.found[start]
        for length, kind in found[MACHINE]:
            if kind == TOLD:
                end = len(text.tokens) if sure else _clause_end(text, start + length - 1)
                places += range(start, end)
            elif kind != FIRST or start == 0:
                if not any(further > length for table in (STOP, FOREIGN_STOP) for further, _ in found[table]):
                    places += range(start, start + length)
                if kind == WEAK:
                    said = said or " ".join(text.tokens[start : start + length])
    return said, places


def _clause_end(text: TakenApart, place: int) -> int:
    return next(end for _, end in text.clauses if place < end)


def without(text: TakenApart, places: list[int], words: Vocabulary) -> TakenApart:
    """Return the text with a word that says nothing in each of the places."""
    rest = replace(text, tokens=[*text.tokens], spellings=[*text.spellings], openings=[*text.openings])
    rest.values = [*text.values]
    nothing = forms(NOTHING_SAID)
    for place in places:
        rest.tokens[place], rest.spellings[place], rest.values[place] = NOTHING_SAID, nothing, 0
        rest.openings[place] = opening(NOTHING_SAID, nothing, words)
    rest.look_up()
    return rest


def _reaction(tokens: list[str], words: list[str], *, quoted: bool) -> str | None:
    """Return the verb of a reaction: at the beginning, with a quotation or a medium after it."""
    if not words:
        return None
    first = next(i for i, piece in enumerate(tokens) if piece[0].isalnum())
    if quoted and '"' in tokens[:first] and not tokens[0].isascii():
        return tokens[0]  # a picture, then the quotation
    if (
        quoted
        and first > 0
        and not _QUOTE.match(tokens[0])
        and words[0] in _JOINERS
        and _quote_soon(tokens[first + 1 :])
    ):
        return tokens[0]  # a picture, then "to" and the quotation
    end, _ = prefix(shared().reactions, words)
    if not end:
        return None
    rest = tokens[first:]
    if quoted and _quote_soon(_after(rest, end)):
        return " ".join(words[:end])
    if any(word in _MEDIA for word in words[end : end + 2]) and len(words) <= end + 2:
        return " ".join(words[:end])
    pictured = any(not piece[0].isalnum() and piece not in ".,!?'\"" for piece in tokens)
    if pictured and (len(words) == end or words[end : end + 1] == ["to"]) and words[0].startswith("reac"):
        return " ".join(words[:end])
    return None


def _after(tokens: list[str], words: int) -> list[str]:
    """Return the tokens after so many words."""
    for place, piece in enumerate(tokens):
        if words == 0:
            return tokens[place:]
        words -= piece[0].isalnum()
    return []


def _quote_soon(tokens: list[str]) -> bool:
    """Return whether a quotation begins before the words of a sentence would."""
    seen = 0
    for piece in tokens:
        if piece == '"':
            return True
        seen += piece[0].isalnum()
        if seen > REACTION_WORDS_MAX:
            return False
    return False
