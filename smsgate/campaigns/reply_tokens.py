"""
A reply taken apart: what the person wrote, without quotations and signatures, as folded words.

Look-alike letters, zeros in words, stretched and spaced letters are put right; question marks and trailing
dots are kept, because "OK?" is no order.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Final

from smsgate.campaigns.reply_entries import plain
from smsgate.campaigns.reply_tables import BONED, NUMBER, Opening, Seen, Vocabulary
from smsgate.campaigns.reply_tries import MACHINE, Found, Words, found_at, prefix
from smsgate.campaigns.reply_words import RESOLVED_MAX, forms, opening, shared, yes_and_thanks

QUOTE_CHARACTERS_MIN: Final = 20  # shorter text in quotation marks is the customer's own
NOT_A_NUMBER: Final = "¤"  # stands for prices, dates, times, decimals, signs, zero and long digits
ADDRESS: Final = "¤@"  # stands for a link or a mail address
CLOCK: Final = "¤h"  # stands for a time of the day that is written with figures; "@h" in an entry
TIMES: Final = "x"  # of "x 2" and "2 x"
EMOJI_MARK: Final = "~"  # a picture parts clauses, as a mark of this name
DIGITS_MAX: Final = 4  # of a quantity; more are a phone number, a postcode, a code

_INVISIBLE: Final = dict.fromkeys(map(ord, "\ufe0e\ufe0f\u034f\u115f\u1160\u3164\uffa0\u2800"))
_LOOK_ALIKES: Final = str.maketrans("аеорсухктмнвіѕјոοκρτυνιαεχ", "aeopcyxktmhbisjnokptuviaex")
_CYRILLIC: Final = str.maketrans("aeopcyxkmhbt", "аеорсухкмнвт")
_LEET: Final = str.maketrans("0134578$@", "oieastbsa")
_BEFORE: Final = str.maketrans(
    {
        **dict.fromkeys("¹²³⁰⁴⁵⁶⁷⁸⁹", "¤"),
        "\u20e3": " ",
        "؟": "?",
        "،": ",",
        "؛": ",",
        "º": "°",
        "ª": "°",
        "№": "#",
    }
)
# What NFKC leaves and `clean` changes: the keys of both tables, and ";", which asks in Greek.
_TO_MEND: Final = re.compile(f"[;{re.escape(''.join(map(chr, (*_BEFORE, *_INVISIBLE))))}]")
_WRITTEN_OUT: Final = re.compile(r"\\[ntr](?!\w)")  # white space that a phone or a gateway has written out
_GREEK: Final = re.compile("[α-ωά-ώ]", re.IGNORECASE)
_UNITS: Final = frozenset(
    ("x", "st", "stk", "stck", "szt", "kpl", "pcs", "pc", "ks", "db", "ex", "cd", "cds", "ok", "шт",
     "buc", "adet", "tane", "pz", "stuks")
)  # fmt: skip
_ORDINALS: Final = frozenset(("e", "er", "ere", "eme", "ieme", "nd", "rd", "th", "de", "º", "ste", "o", "a"))
_TOKEN: Final = re.compile(
    r"(?P<price>(?:[€$£¥₽₺]\s?\d[\d.,]*|\d[\d.,]*\s?[€$£¥₽₺%])|%)"
    r"|(?P<broken>\d+(?:[.,:]\d+|\s?[/+⁄×x*\-–]\s?\d+)+)"
    r"|(?P<signed>[-+–−/~≈]\s?\d+|\d+[.,]?[-–−](?!\S))"
    r"|(?P<smile>[:;=]-?[)(dp/|*]+(?!\w)|<3|\^\^|[)(/\\]-?[:;=](?!\w))"
    r"|(?P<sign>(?<!\S)(?!/\s[^\W\d])[#*=+&~^@/\\]+(?!\S)|<(?!3)|>)"
    r"|(?P<word>[^\W_]+)"
    r"|(?P<question>\?)|(?P<dots>\.(?: ?\.)+|…)"
    r"|(?P<cut>[.,;:!\n()\[\]\-–—/|]+)|(?P<other>\S)"
)
_NUMERO: Final = re.compile(r"\bn\s?°\s?(?=\d)|(?<![\w#])#\s?(?=\d)|\bn[or]\.\s?(?=\d)", re.IGNORECASE)
_ORDINAL_SIGN: Final = re.compile(r"(?<=\d)°")
_LINK: Final = re.compile(r"\S+@\S+\.\w+|https?://\S+|www\.\S+", re.IGNORECASE)
_DOLLAR_LETTER: Final = re.compile(r"\$(?=[^\W\d])")
_SPACED: Final = re.compile(r"(?<![\w'’´`])(?:[^\W\d](?: |[.\-_*] ?)){1,9}[^\W\d](?!\w)\.?")
# Swedes and Finns begin with ”, Danes with », which elsewhere end a quotation: there no space goes before.
_QUOTED: Final = re.compile(
    rf"[“«\"„][^“”«»\"]{{{QUOTE_CHARACTERS_MIN},}}[”»\"“]"
    rf"|(?<!\S)”(?!\s)[^“”„]{{{QUOTE_CHARACTERS_MIN},}}”|(?<!\S)»(?!\s)[^«»]{{{QUOTE_CHARACTERS_MIN},}}[«»]"
)
_QUOTES: Final = frozenset('“«"„”»')
# "'Stop!' by Sam Brown": a song.
_SONG: Final = re.compile(r"[\"'“«‘„]\s?[Ss]top!?\s?[\"'”»’“](?= (?:by|par|de|von|di|av|van) [A-Z])")
_WROTE: Final = re.compile(
    r"^(?:on|le|am|den|el|il|op|em|dne|dnia) .{5,80}"
    r"(?:wrote|ecrit|schrieb|skrev|escribio|scritto|schreef|escreveu|napisal) ?:"
)
_STARRED: Final = re.compile(r"(?:^|\s)\*[^\W\d][^*]*$|(?:^|\s)\w+\*$")  # "*yes", "yes*": a correction
_SAD: Final = frozenset("(/|\\")
_GLUED: Final = re.compile(r"(ok|okay|oki|oui|yes|ja|si|yep|x|okx)(\d{1,4})|(\d{1,4})([^\W\d]+)")
_GLUED_STOP: Final = re.compile(
    r"(?:stop){2,}|\d{3,6}stopp?|(stopp?|arret)(?:\d{1,6}|me|this|sending|texting|marketing|messages|texts|spam|calls|ads|promos?|sms|pub|pubs|info|msg|mms|all|now|pls|please|it|thanks|thx|merci|svp)"
)
_CLOCK: Final = re.compile(r"(?:[01]?\d|2[0-4])(?:h(?:[0-5]\d)?|am|pm|uhr|u)")
_CLOCK_FIGURES: Final = re.compile(r"(?:[01]?\d|2[0-4])(?:[:.][0-5]\d|\s?[-–]\s?(?:[01]?\d|2[0-4]))")
_NUMBER_LAST: Final = re.compile(r"[^\W\d]+\d{1,4}")
_OK_MARKED: Final = re.compile(r"(?<![\w.,+€$£-])[oO0]{1,2}[.-](?:[oO0][.-])?[kK](?!\w)\.?")  # "0.K."
_LONG_RUN: Final = re.compile(r"(.)\1{2,}")
_RUN: Final = re.compile(r"(.)\1+")


@dataclass(slots=True)
class TakenApart:
    """
    A reply taken apart.

    `tokens` are words, "#" for numbers and "¤" for numbers that are none; `spellings` what each may be in
    the tables, `openings` what it opens there; `values` what each is worth as a number (0 for none).
    `clauses` are ranges of tokens between marks, `marks` by clause what ends it.
    """

    own: str = ""
    tokens: list[str] = field(default_factory=list)
    spellings: list[Words] = field(default_factory=list)
    openings: list[Opening] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)  # by token: the entries that begin there
    values: list[int] = field(default_factory=list)
    clauses: list[tuple[int, int]] = field(default_factory=list)
    asked: list[bool] = field(default_factory=list)  # by clause: whether a question mark ends it
    marks: list[str] = field(default_factory=list)  # by clause: all marks up to the next one
    emojis: list[str] = field(default_factory=list)
    question: bool = False
    dots: bool = False
    starred: bool = False
    sad: bool = False
    letters: bool = False  # nothing but letters and spaces was written
    times: bool = False  # a number stood beside "x"
    machines: list[int] = field(default_factory=list)  # tokens at which entries of what machines say begin

    def add(self, token: str, spelling: Words, value: int = 0) -> None:
        self.tokens.append(token)
        self.spellings.append(spelling)
        self.values.append(value)

    def take_back(self) -> None:
        """Forget the last token: the "x" of "x 2"."""
        self.tokens.pop()
        self.spellings.pop()
        self.values.pop()
        self.times = True

    def look_up(self) -> None:
        """Find the entries of all tables that begin at each token."""
        spellings, last = self.spellings, len(self.spellings) - 1
        # Most words go on to no longer entry with the word that follows: that is looked at first.
        self.found = [
            found_at(first, spellings, place)
            if place < last and (first.gaps or not first.second.isdisjoint(spellings[place + 1]))
            else first.alone
            for place, first in enumerate(self.openings)
        ]
        self.machines = [place for place, found in enumerate(self.found) if found[MACHINE]]

    def close_clause(self, mark: str = "") -> None:
        start = self.clauses[-1][1] if self.clauses else 0
        if len(self.tokens) > start:
            self.clauses.append((start, len(self.tokens)))
            self.asked.append(mark == "?")
            self.marks.append(mark)
        elif self.asked:
            self.asked[-1] = self.asked[-1] or mark == "?"
            self.marks[-1] += mark


def clean(raw: str) -> str:
    """Return `raw` in NFKC without invisible characters: what a person sees."""
    if "\\" in raw:
        raw = _WRITTEN_OUT.sub(" ", raw)
    if raw.isascii():
        return raw
    if raw.isprintable() and not _TO_MEND.search(raw) and unicodedata.is_normalized("NFKC", raw):
        return raw  # most: nothing but letters with accents
    text = unicodedata.normalize("NFKC", raw.translate(_BEFORE)).translate(_INVISIBLE)
    if ";" in text and _GREEK.search(text):
        text = text.replace(";", "?")  # the Greek question mark; U+037E becomes it in NFC
    return "".join(c for c in text if unicodedata.category(c) != "Cf")


def strip_quoted(text: str) -> str:
    """Return what the person wrote: no quoted lines, no long quotations, no mail signature."""
    text = text.strip()
    if "top" in text:
        text = _SONG.sub(" ", text)
    if "\n" not in text:
        return _QUOTED.sub(" ", text) if not _QUOTES.isdisjoint(text) else text
    kept = []
    for line in text.split("\n"):
        folded = plain(line).strip()
        if folded.startswith(">"):
            continue
        words = folded.replace("-", " ").split()
        if folded == "--" or _WROTE.match(folded):
            break
        if words and _signature(words):
            break
        kept.append(line)
    return _QUOTED.sub(" ", "\n".join(kept))


def _signature(line: list[str]) -> bool:
    return prefix(shared().signatures, line)[0] > 0


def take_apart(own: str, words: Vocabulary) -> TakenApart:
    """Return the tokens of cleaned text."""
    prepared = own
    inner = own[:-1]  # none of the marks changes anything where it ends the text
    if "." in inner or "-" in inner or "°" in own or "#" in inner:
        prepared = _ORDINAL_SIGN.sub("e", _NUMERO.sub(" numero ", _OK_MARKED.sub("ok", own)))
    if "@" in own or "://" in own or "ww." in own:
        prepared = _LINK.sub(f" {ADDRESS[0]} ", prepared)
    if "$" in own:
        prepared = _DOLLAR_LETTER.sub("s", prepared)
    folded = plain(_SPACED.sub(_join_letters, prepared) if _SPACED.search(prepared) else prepared)
    bare = own.strip()
    text = TakenApart(own, starred="*" in bare and _STARRED.search(bare) is not None)
    if folded.replace(" ", "").isalpha():
        for token in folded.split():
            _word(token, text, words)
    else:
        _tokens(folded, text, words)
    text.close_clause()
    known = words.openings
    text.openings = [
        known.get(token) or opening(token, spelled, words)
        for token, spelled in zip(text.tokens, text.spellings, strict=True)
    ]
    text.look_up()
    return text


def of_letters(seen: str, words: Vocabulary) -> TakenApart | None:
    """
    Return the tokens of cleaned text that is nothing but letters and spaces, as most replies are.

    None: it is more than that, and must be looked at as a whole by `strip_quoted` and `take_apart`.
    """
    written = seen.split()
    if not seen.replace(" ", "").isalpha() or (1 in map(len, written) and _SPACED.search(seen)):
        return None
    known = words.written
    found = [known.get(word) or _written(word, words) for word in written]
    if None in found:
        return None
    tokens, spellings, values, openings = map(list, zip(*found, strict=True))
    text = TakenApart(seen, tokens, spellings, openings, [], values, [(0, len(tokens))], [False], [""], [])
    text.letters = True
    text.look_up()
    return text


def _written(word: str, words: Vocabulary) -> Seen | None:
    """Return what one word of letters is; None when folding makes something else than one such word of it."""
    folded = plain(word)
    if not folded.isalpha():
        return None
    alone = TakenApart()
    _word(folded, alone, words)
    if len(alone.tokens) != 1:
        return None
    token, spelled = alone.tokens[0], alone.spellings[0]
    seen = (token, spelled, alone.values[0], opening(token, spelled, words))
    if len(words.written) < RESOLVED_MAX:
        words.written[word] = seen
    return seen


def _tokens(folded: str, text: TakenApart, words: Vocabulary) -> None:
    """Take apart what is more than letters and spaces."""
    for match in _TOKEN.finditer(folded):
        kind, token = match.lastgroup, match[0]
        if kind == "word":
            _word(token, text, words)
        elif kind == "question":
            text.question = True
            text.close_clause("?")
        elif kind == "cut":
            if match[0] != "-" or not _inside_word(folded, match.start()):
                text.close_clause(match[0])
        elif kind == "dots":
            text.dots = True
            text.close_clause()
        elif kind == "other":
            _other(token, text)
        elif match[0] == "#":
            text.add("number", forms("number"))  # "lose my #"
        elif kind == "sign":
            text.add(NOT_A_NUMBER + token, (NOT_A_NUMBER + token,))
        elif kind == "smile":
            text.sad = text.sad or not _SAD.isdisjoint(token)
        elif kind == "broken" and _CLOCK_FIGURES.fullmatch(token):
            text.add(CLOCK, (CLOCK, "@h"))
        else:
            text.add(NOT_A_NUMBER, (NOT_A_NUMBER,))


def _inside_word(text: str, place: int) -> bool:
    """Return whether the hyphen at `place` joins two words: "laissez-moi", "retirar-me"."""
    return text[max(place - 1, 0)].isalpha() and text[place + 1 : place + 2].isalpha()


def _other(token: str, text: TakenApart) -> None:
    if token in {"&", "+"}:
        text.add(token, (token,))
    elif token == NOT_A_NUMBER:
        text.add(ADDRESS, (ADDRESS,))
    elif unicodedata.category(token) == "Sc":
        text.add(NOT_A_NUMBER, (NOT_A_NUMBER,))  # "OK €" speaks of a price
    elif "\U0001f3fb" <= token <= "\U0001f3ff":
        pass  # the colour of the hand before it
    elif token in shared().emoji_harmless or unicodedata.category(token) in {"So", "Sk"}:
        text.emojis.append(token)
        text.close_clause(EMOJI_MARK)
    elif unicodedata.category(token)[0] in "LN":
        text.add(token, (token,))


def _word(token: str, text: TakenApart, words: Vocabulary) -> None:
    seen = words.seen.get(token)
    if seen is not None:
        text.add(*seen[:3])
        return
    if token.isdecimal():
        _digits(token, text)
        return
    if token[0].isdecimal() and _CLOCK.fullmatch(token):
        text.add(token, (*forms(token), "@h"))
        return
    word = spelling(token)
    if word == TIMES and text.tokens and text.tokens[-1] == NUMBER:
        text.times = True
        return
    glued = None if word.isalpha() or word in shared().known else _GLUED.fullmatch(word)
    pair = yes_and_thanks(word, words) if glued is None else None
    if pair is not None:
        for part in pair:
            text.add(part, forms(part))
    elif glued is None:
        value = words.numbers.get(word, 0)
        spelled = (NUMBER, "@", *forms(word)) if value else forms(word)
        if word != TIMES and len(words.seen) < RESOLVED_MAX:
            words.seen[token] = (word, spelled, value, opening(word, spelled, words))
        text.add(word, spelled, value)
    elif glued[1] is not None:
        text.times = text.times or glued[1].endswith("x")
        if glued[1] != "x":
            text.add(glued[1].removesuffix("x"), forms(glued[1].removesuffix("x")))
        _digits(glued[2], text)
    elif glued[4] == "st" and glued[3].endswith("1") and "st" not in words.words:
        text.add("#e", ("#e",), int(glued[3]))
    elif glued[4] in _UNITS or (glued[4] in words.words and len(glued[4]) > 1 and words.language != BONED):
        _digits(glued[3], text)
        _word(glued[4], text, words)
    elif glued[4] in _ORDINALS - words.words and int(glued[3]):
        text.add("#e", ("#e",), int(glued[3]))
    else:
        text.add(word, (word,))


def _digits(token: str, text: TakenApart) -> None:
    if len(token) > DIGITS_MAX or token.startswith("0") or not int(token):
        text.add(NOT_A_NUMBER, (NOT_A_NUMBER,))
    else:
        if text.tokens and text.tokens[-1] == TIMES:
            text.take_back()
        text.add(NUMBER, (NUMBER, "@"), int(token))


def _join_letters(match: re.Match[str]) -> str:
    joined = "".join(re.findall(r"[^\W_]", match[0]))
    letters = joined.casefold().translate(_LOOK_ALIKES)
    return joined if len(joined) > 2 or letters in _DECIDING else match[0]


def spelling(word: str) -> str:
    """Return a word with look-alikes, zeros and stretched letters put right, if it is known then."""
    if word in shared().known:
        return word
    if not word.isascii():
        alike = word.translate(_LOOK_ALIKES)
        if alike != word and alike.isascii() and (alike in shared().known or any(c.isascii() for c in word)):
            word = alike
        elif word.translate(_CYRILLIC) in shared().known:
            return word.translate(_CYRILLIC)
    if not word.isalpha() and any(c.isalpha() for c in word) and not _NUMBER_LAST.fullmatch(word):
        letters = word.translate(_LEET)
        if letters in shared().known and letters in _DECIDING:
            return letters
    single = _RUN.sub(r"\1", word)
    if single in _DECIDING:
        return single
    for shorter in (_LONG_RUN.sub(r"\1\1", word), _LONG_RUN.sub(r"\1", word)):
        if shorter != word and shorter in shared().known:
            return shorter
    return "ok" if re.fullmatch(r"(?:ok){2,}", word) else word


# Words that are put right even from digits and from one doubled letter.
_DECIDING: Final = frozenset(
    ("ok", "oki", "okay", "okey", "oke", "okej", "yes", "yep", "yeah", "oui", "ouais", "ja", "si", "sim",
     "non", "no", "nein", "nej", "stop", "arret", "basta", "fin", "unsubscribe", "cancel", "quit", "end",
     "opt", "remove", "stopp", "stoppen", "start", "help", "gerne", "vale", "claro", "da", "tak", "evet")
)  # fmt: skip


def glued_stop(word: str) -> bool:
    """Return whether this is "stop" with something glued on: STOP36111, STOPSMS."""
    return _GLUED_STOP.fullmatch(word) is not None
