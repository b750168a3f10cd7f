"""
A reply taken apart: what the person wrote, without quotations and signatures, in folded words.

Look-alike letters, zeros in words, stretched and spaced letters are put right; question marks and trailing
dots are
kept, because "OK?" is no order.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from smsgate.campaigns.reply_words import plain

if TYPE_CHECKING:
    from smsgate.campaigns.reply_words import Vocabulary

QUOTE_CHARACTERS_MIN: Final = 20  # shorter text in quotation marks is the customer's own
NOT_A_NUMBER: Final = "¤"  # stands for prices, dates, times, decimals, signs, zero and long digits

_INVISIBLE: Final = frozenset("\ufe0e\ufe0f\u20e3")
_LOOK_ALIKES: Final = str.maketrans("аеорсухктмнвіѕјոοκρτυνιαεχ", "aeopcyxktmhbisjnokptuviaex")
_ARABIC_MARKS: Final = str.maketrans("؟،؛", "?,;")
_TOKEN: Final = re.compile(
    r"(?P<price>[€$£¥]|%)|(?P<signed>(?<!\w)[-+]\d+)|(?P<broken>\d+(?:[.,:/]\d+)+)"
    r"|(?P<ordinal>\d{1,2}(?:e|er|ere|eme|ieme|nd|st|rd|th|ª|º)\b)|(?P<number>\d+(?!\w))|(?P<word>\w+)"
    r"|(?P<question>\?)|(?P<dots>\.{2,}|…)|(?P<cut>[.,;:!\n()\-/|]+)|(?P<other>\S)"
)
_NUMERO: Final = re.compile(r"\bn\s?[°º]\s?(?=\d)|(?<![\w#])#\s?(?=\d)", re.IGNORECASE)
_TIMES: Final = re.compile(r"\b[x×*]\s?(?=\d+\b)|(?<=\d)\s?[x×](?=\s|$|[.!])", re.IGNORECASE)
_SPACED: Final = re.compile(r"(?<!\w)(?:\w[ .\-_*]){1,9}\w(?!\w)\.?")
_QUOTED: Final = re.compile(rf"[“«\"][^“”«»\"]{{{QUOTE_CHARACTERS_MIN},}}[”»\"]")
_WROTE: Final = re.compile(
    r"^(?:on|le|am|den|el|il|op) .{5,80}(?:wrote|ecrit|schrieb|skrev|escribio|scritto|schreef) ?:"
)


@dataclass(slots=True)
class TakenApart:
    """A reply taken apart: `flat` has single spaces, "#" for numbers and "¤" for numbers that are none."""

    flat: str
    clauses: list[str]
    numbers: list[int]
    emojis: list[str]
    question: bool
    dots: bool
    starred: bool


def strip_quoted(raw: str, words: Vocabulary) -> str:
    """Return what the person wrote: no quoted lines, no long quotations, no mail signature."""
    kept: list[str] = []
    for line in raw.splitlines():
        folded = plain(line).strip()
        if line.lstrip().startswith(">"):
            continue
        if folded == "--" or words.signature.match(folded) or _WROTE.match(folded):
            break
        kept.append(line)
    return _QUOTED.sub(" ", "\n".join(kept))


def take_apart(own: str, words: Vocabulary) -> TakenApart:
    visible = "".join(c for c in own if unicodedata.category(c) != "Cf" and c not in _INVISIBLE)
    prepared = _TIMES.sub(" ", _NUMERO.sub(" numero ", visible.translate(_ARABIC_MARKS)))
    folded = _SPACED.sub(_join_letters, plain(prepared))
    flat: list[str] = []
    clauses: list[list[str]] = [[]]
    text = TakenApart("", [], [], [], question=False, dots=False, starred=own.lstrip().startswith("*"))
    for match in _TOKEN.finditer(folded):
        kind, token = match.lastgroup, match[0]
        if kind == "question":
            text.question = True
            clauses.append([])
        elif kind in {"dots", "cut"}:
            text.dots = text.dots or kind == "dots"
            clauses.append([])
        elif kind == "other":
            if token in words.emoji_harmless or unicodedata.category(token) in {"So", "Sk"}:
                text.emojis.append(token)
        else:
            for piece in _token(kind or "", token, text, words):
                flat.append(piece)
                clauses[-1].append(piece)
    text.flat = " ".join(flat)
    text.clauses = [" ".join(clause) for clause in clauses if clause]
    return text


def _token(kind: str, token: str, text: TakenApart, words: Vocabulary) -> list[str]:
    if kind == "number":
        if len(token) > 4 or int(token) == 0:
            return ["¤"]
        text.numbers.append(int(token))
        return ["#"]
    if kind == "ordinal":
        return ["#e"]
    if kind != "word":
        return ["¤"]
    word = _spelling(token, words)
    if word in words.numbers:
        text.numbers.append(words.numbers[word])
        return ["#"]
    glued = re.fullmatch(r"(ok|okay|oui|yes|ja|si)(\d{1,4})", word)
    if glued and int(glued[2]):
        text.numbers.append(int(glued[2]))
        return [glued[1], "#"]
    return [word]


def _join_letters(match: re.Match[str]) -> str:
    letters = re.findall(r"\w", match[0])
    return "".join(letters) if all(c.isalpha() for c in letters) else match[0]


def _spelling(word: str, words: Vocabulary) -> str:
    """
    Return the word with look-alike letters, zeros and stretched letters put right, when that makes it a
    known one.
    """
    has_latin = any("a" <= c <= "z" for c in word)
    alike = word.translate(_LOOK_ALIKES)
    if alike != word and (has_latin or alike == "ok"):
        word = alike
    if "0" in word and has_latin and not any(c in "123456789" for c in word):
        word = word.replace("0", "o")
    if word in words.known:
        return word
    for shorter in (re.sub(r"(.)\1{2,}", r"\1\1", word), re.sub(r"(.)\1+", r"\1", word)):
        if shorter in words.known:
            return shorter
    return "ok" if re.fullmatch(r"(?:ok){2,}", word) else word


def near_stop(clause: str, words: Vocabulary) -> str | None:
    """Return a word that is "stop" with one slip of the finger, or with something glued on."""
    for word in clause.split():
        if re.fullmatch(r"stopp?(?:\d{3,6}|sms|pub|info|msg|all|now|pls|please|it|thanks|merci)", word):
            return word
        if word not in words.neighbours_not and 3 <= len(word) <= 5 and _one_edit(word, "stop"):
            return word
    return None


def _one_edit(word: str, target: str) -> bool:
    """Return whether one insertion, deletion, substitution or swap of neighbours makes `target`."""
    if abs(len(word) - len(target)) > 1:
        return False
    if len(word) == len(target):
        different = [i for i, (a, b) in enumerate(zip(word, target, strict=True)) if a != b]
        swapped = len(different) == 2 and different[1] == different[0] + 1
        return len(different) == 1 or (
            swapped
            and word[different[0]] == target[different[1]]
            and word[different[1]] == target[different[0]]
        )
    longer, shorter = (word, target) if len(word) > len(target) else (target, word)
    return any(longer[:i] + longer[i + 1 :] == shorter for i in range(len(longer)))


def blank(text: str, pattern: re.Pattern[str]) -> str:
    """Return `text` without what the pattern finds at word starts."""
    kept: list[str] = []
    position = 0
    while position < len(text):
        match = pattern.match(text, position)
        if match and match.end() > position:
            position = match.end()
        else:
            end = text.find(" ", position)
            end = len(text) if end < 0 else end
            kept.append(text[position:end])
            position = end
        while position < len(text) and text[position] == " ":
            position += 1
    return " ".join(kept)


def find(text: str, pattern: re.Pattern[str]) -> str | None:
    position = 0
    while position <= len(text):
        match = pattern.match(text, position)
        if match and match.end() > position:
            return match[0]
        position = text.find(" ", position) + 1
        if position == 0:
            return None
    return None


def find_phrases(text: str, pattern: re.Pattern[str]) -> list[str]:
    """Return what the pattern finds of more than one word."""
    starts = [0, *(i + 1 for i, c in enumerate(text) if c == " ")]
    return [m[0] for i in starts if (m := pattern.match(text, i)) and " " in m[0]]
