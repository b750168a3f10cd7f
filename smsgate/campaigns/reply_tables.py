"""What reply reading works with: the tables of one language, and those that all languages share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from smsgate.campaigns.reply_abroad import Meaning, Request
from smsgate.campaigns.reply_slips import Near, Slip
from smsgate.campaigns.reply_tries import Begin, Node, Words

BONED: Final = "ar-Latn"  # the language whose words are known by their consonants
NUMBER: Final = "#"
NOTHING_SAID: Final = "¤-"  # stands for words that may be a machine's


class StopRule(NamedTuple):
    needs: int
    without: int
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Opening(Begin):
    """What a word opens for one language: what begins with it, and what follows when nothing longer does."""

    says: Meaning | None
    asks: tuple[Request, ...]
    silent: bool  # no entry of the stop lists begins with it


# A word: its token, its spellings in the tables, what it is worth as a number, and what it opens.
Seen = tuple[str, Words, int, "Opening"]


class Vocabulary(NamedTuple):
    """
    The tables of one subscriber language.

    Its trie says what decides (`Meaning`) and what asks for silence (`Request`: languages with bits).
    """

    tree: Node
    silencing: frozenset[str]  # with which words entries of the stop lists begin
    words: frozenset[str]  # single words of the own language: they are never read as another language's
    keywords: frozenset[str]  # those of them that say more about a stop than an idea
    agreeing: frozenset[str]  # single words that are a yes
    numbers: dict[str, int]
    language: str
    openings: dict[str, Opening]  # of words seen so far
    seen: dict[str, Seen]  # of folded words
    written: dict[str, Seen]  # of words of letters as people write them
    slips: dict[str, Slip]  # of words seen so far
    strong: Near  # long stop words that ask for silence by themselves
    near: Near  # long words of the stop lists
    single: dict[str, str]  # words of the stop lists by themselves without doubled letters


class Variants(NamedTuple):
    """The lists about variants, of all languages together."""

    attributes: dict[str, str]  # word by word: what it says of a variant
    against: frozenset[str]  # "not", "instead of": before a variant that is not wanted
    against_behind: frozenset[str]
    nos: frozenset[str]  # a no that may be said of one variant: "no el rojo, el azul"
    fits: frozenset[str]  # "works for me", of a variant
    rather: frozenset[str]  # "but": before the one that is wanted
    of_whom: frozenset[str]  # "the one by": a name comes behind
    articles: frozenset[str]


class Signing(NamedTuple):
    """Words of `names.toml` and `common.toml` that say what a signature is."""

    honours: frozenset[str]  # titles in a signature alone
    particles: frozenset[str]
    not_names: frozenset[str]  # who pays and delivers, towns, feasts
    thanks: frozenset[str]  # words of thanks and asking
    thanks_last: frozenset[str]  # behind which a name may follow without a mark
    purposes: frozenset[str]  # "for"


class Shared(NamedTuple):
    """The tables that are the same for everybody."""

    version: str
    tree: Node
    silencing: frozenset[str]
    known: frozenset[str]  # spellings that are right as they stand, in one language or another
    numbers: dict[str, int]
    stems: frozenset[str]
    spoken: dict[str, str]  # by spelling of the street: the word that is meant
    frames: tuple[tuple[str, str], ...]  # "ma*ch": what words begin and end with
    strong: Near
    bones: dict[str, str]  # words of the stop lists of Arabic in Latin letters by their consonants
    glued: frozenset[str]  # phrases of the stop lists without their spaces
    rules: tuple[StopRule, ...]
    reactions: Node  # of one table
    signatures: Node
    names: frozenset[str]
    titles: frozenset[str]
    closings: frozenset[str]
    order_nouns: frozenset[str]
    before_numbers: frozenset[str]
    price_words: frozenset[str]
    possessives: frozenset[str]
    relatives: frozenset[str]
    offered: tuple[str, ...]  # what words begin with that name what is offered
    neighbours_not: frozenset[str]
    real_words: frozenset[str]
    polite: Near  # words of thanks, greeting and asking
    farewells: frozenset[Words]
    conjunctions: frozenset[tuple[str, str]]  # language and word
    emoji_harmless: frozenset[str]
    emoji_no: frozenset[str]
    emoji_stop: frozenset[str]
    classes: dict[str, Words]  # by word: what it is of the lists that an entry names as a whole
    variants: Variants
    signing: Signing
