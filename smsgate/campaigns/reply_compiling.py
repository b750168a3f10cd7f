"""
The tables of reply reading, made out of the word files: seconds for all languages (`reply_kept` keeps them).

An entry of another language counts only where it cannot be mistaken: not when the subscriber's language has
the same word, not when two languages disagree about it, and as a single word of the Latin alphabet only when
it is long enough and not in the list `ambiguous`.
"""

from __future__ import annotations

from functools import reduce
from itertools import chain
from operator import or_
from typing import Any, Final

from smsgate.campaigns.reply_abroad import Meaning, Request, abroad_entries, agreed, meaning
from smsgate.campaigns.reply_entries import (
    BIT,
    LANGUAGES,
    STOP_KINDS,
    anchored_entries,
    attribute_entries,
    classes_of,
    decision_entries,
    entries_of,
    listed,
    machine_entries,
    number_entries,
    numerals,
    request_entries,
    spelled_entries,
    spoken_entries,
    tree_of,
    word_file,
)
from smsgate.campaigns.reply_slips import (
    BONES_MIN,
    NEAR_ALONE_LETTERS_MIN,
    NEAR_LETTERS_MIN,
    SINGLE_LETTERS_MIN,
    STRONG_LETTERS_MIN,
    bones,
    neighbours,
    single,
)
from smsgate.campaigns.reply_tables import BONED, NUMBER, Shared, Signing, StopRule, Variants, Vocabulary
from smsgate.campaigns.reply_tries import FOREIGN_MEANING, FOREIGN_STOP, MACHINE, MEANING, STOP, Words, grown
from smsgate.campaigns.tables import rules_version, table

GLUED_LETTERS_MIN: Final = 7  # of a phrase that was typed without its spaces
VARIANT_LISTS: Final = ("against", "against_behind", "refusing", "fits", "rather", "of_whom", "articles")


def compiled_vocabulary(own: str, everyones: Shared) -> Vocabulary:
    """Return the tables of one of `LANGUAGES`, made out of its word file."""
    meanings: list[tuple[Words, int, object]] = []
    numbers: dict[str, int] = {}
    stops: dict[Words, int] = {}
    for source in (own, ""):
        for word, value in number_entries(source):
            if len(word) == 1:
                numbers.setdefault(word[0], value)
            meanings.append((word, MEANING, Meaning("number", source, value)))
        meanings += [(entry, MEANING, meaning(said, source)) for entry, said in decision_entries(source)]
        for entry, bit in request_entries(source):
            stops[entry] = stops.get(entry, 0) | bit
    meanings.append(((NUMBER,), MEANING, Meaning("number", "")))
    asking = ((entry, STOP, Request(((own, mask),), mask)) for entry, mask in stops.items())
    keywords = {e[0] for e, _ in decision_entries(own) if len(e) == 1}
    keywords |= {e[0] for e, bit in request_entries(own) if len(e) == 1 and bit & _STOPPING}
    alone = frozenset(
        entry[0] for entry, _ in (*decision_entries(own), *request_entries(own)) if len(entry) == 1
    )
    return Vocabulary(
        tree=grown(chain(meanings, asking)),
        silencing=frozenset(entry[0] for entry in stops),
        words=frozenset(alone | numbers.keys()),
        keywords=frozenset(keywords | numbers.keys()),
        agreeing=frozenset(
            entry[0]
            for entry, said in (*decision_entries(own), *decision_entries(""))
            if said == "yes" and len(entry) == 1 and len(entry[0]) > 1
        ),
        language=own,
        numbers=everyones.numbers | numbers,
        openings={},
        seen={},
        written={},
        slips={},
        strong=neighbours(_strong(stops)),
        near=neighbours(_slippery(stops, everyones.rules)),
        single=_single(stops),
    )


_STOPPING: Final = sum(BIT[kind] for kind in STOP_KINDS)


def _slippery(stops: dict[Words, int], rules: tuple[StopRule, ...]) -> set[str]:
    """Return the words of stop lists that are long enough to be known again with a slip of the finger."""
    alone = sum(rule.needs for rule in rules if rule.needs.bit_count() == 1)
    return {
        word
        for entry, mask in stops.items()
        for word in entry
        if word.isalpha() and len(word) >= (NEAR_ALONE_LETTERS_MIN if mask & alone else NEAR_LETTERS_MIN)
    }


def _single(stops: dict[Words, int]) -> dict[str, str]:
    """Return the words of stop lists by what they are without doubled letters."""
    words = {word for entry in stops for word in entry if word.isalpha() and len(word) >= SINGLE_LETTERS_MIN}
    found: dict[str, str] = {}
    for word in sorted(words):
        found.setdefault(single(word), word)
    return found


def _strong(stops: dict[Words, int]) -> set[str]:
    """Return the long words of stop lists that ask for silence by themselves."""
    strong = BIT["stop"] | BIT["stop_short"]
    return {
        entry[0]
        for entry, mask in stops.items()
        if len(entry) == 1 and mask & strong and len(entry[0]) >= STRONG_LETTERS_MIN and entry[0].isalpha()
    }


def compiled_shared() -> Shared:
    """Return what all languages have in common, and the entries of each that count in all."""
    common, people = table("words", "common.toml"), table("words", "names.toml")
    numbers: dict[str, int] = {}
    readings, stops = abroad_entries({entry[0] for entry in entries_of(common["ambiguous"])})
    entries: list[tuple[Words, int, object]] = []
    for entry, found in readings.items():
        said = agreed(found)
        if said is not None:
            if said.category == "number" and len(entry) == 1:
                numbers[entry[0]] = said.value
            entries.append((entry, FOREIGN_MEANING, said))
    for entry, masks in stops.items():
        asks = Request(tuple(masks.items()), reduce(or_, masks.values()))
        entries.append((entry, FOREIGN_STOP, asks))
    entries += [(entry, MACHINE, kind) for entry, kind in machine_entries().items()]
    everyones = {entry: reduce(or_, masks.values()) for entry, masks in stops.items()}
    spelled = spelled_entries()
    return Shared(
        version=rules_version(),
        tree=grown(entries),
        silencing=frozenset(entry[0] for entry in stops),
        known=listed() | numerals(),
        numbers=numbers,
        stems=frozenset(word for entry in spelled for word in entry if word.endswith("*")),
        spoken=dict(spoken_entries()),
        frames=_frames(spelled),
        strong=neighbours(_strong(everyones)),
        bones=_bones(),
        glued=_glued(everyones),
        rules=tuple(map(_stop_rule, common["stop_rules"])),
        reactions=tree_of(anchored_entries("reaction")),
        signatures=tree_of(entries_of(common["signature"])),
        names=frozenset(
            e[0] for e in entries_of(";".join((people["first"], people["rarer"], people["family"])))
        ),
        titles=frozenset(e[0] for e in entries_of(people["titles"])),
        closings=frozenset(e[-1] for e in entries_of(common["closings"])),
        order_nouns=frozenset(
            e[0] for name in LANGUAGES for e in entries_of(word_file(name).get("ordernoun", ""))
        ),
        offered=tuple(e[0] for e in entries_of(common["offered"])),
        possessives=frozenset(e[0] for e in entries_of(common["possessives"])),
        before_numbers=frozenset(" ".join(e) for e in entries_of(common["before_numbers"])),
        price_words=frozenset(e[0] for e in entries_of(common["price_words"])),
        relatives=frozenset(e[0] for e in entries_of(common["relatives"])),
        neighbours_not=frozenset(e[0] for e in entries_of(common["stop_neighbours_not"])),
        real_words=frozenset(e[0] for e in entries_of(common["real_words"])),
        polite=neighbours(e[0] for e in entries_of(common["polite"])),
        farewells=frozenset(entries_of(common["farewell"])),
        conjunctions=frozenset(
            (name, e[0]) for name, words in common["conjunctions"].items() for e in entries_of(words)
        ),
        emoji_harmless=frozenset(common["emoji_harmless"]),
        emoji_no=frozenset(common["emoji_no"]),
        emoji_stop=frozenset(common["emoji_stop"]),
        classes=classes_of(),
        variants=Variants(attribute_entries(), *map(_phrases, VARIANT_LISTS)),
        signing=_signing(common, people),
    )


def _glued(stops: dict[Words, int]) -> frozenset[str]:
    """Return the phrases that mean a stop, typed without their spaces."""
    return frozenset(
        "".join(entry)
        for entry, mask in stops.items()
        if len(entry) > 1 and mask & BIT["stop"] and len("".join(entry)) >= GLUED_LETTERS_MIN
    )


def _phrases(name: str) -> frozenset[str]:
    """Return a list of all languages as it is said."""
    return frozenset(
        " ".join(entry)
        for language in ("", *LANGUAGES)
        for entry in entries_of(word_file(language).get(name, ""))
    )


def _signing(common: dict[str, Any], people: dict[str, Any]) -> Signing:
    return Signing(
        honours=frozenset(e[0] for e in entries_of(people["honours"])),
        particles=frozenset(e[0] for e in entries_of(people["particles"])),
        not_names=frozenset(e[0] for e in entries_of(common["not_names"])),
        thanks=frozenset(e[0] for e in entries_of(f"{common['thanks']};{common['please']}")),
        thanks_last=frozenset(e[-1] for e in entries_of(common["thanks"])),
        purposes=frozenset(e[0] for e in entries_of(common["purposes"])),
    )


def _frames(spelled: frozenset[Words]) -> tuple[tuple[str, str], ...]:
    """Return what words begin and end with: "ma*ch"."""
    framed = sorted({word for entry in spelled for word in entry if "*" in word[1:-1]})
    return tuple((word.partition("*")[0], word.partition("*")[2]) for word in framed)


def _bones() -> dict[str, str]:
    found: dict[str, str] = {}
    for entry, bit in request_entries(BONED):
        for word in entry:
            if bit != BIT["not_stop"] and word.isalnum() and len(bones(word)) >= BONES_MIN:
                found.setdefault(bones(word), word)
    return found


def _stop_rule(row: dict[str, str]) -> StopRule:
    needs, without = row["needs"].split(), row.get("without", "").split()
    return StopRule(
        needs=sum(BIT[name] for name in needs),
        without=sum(BIT[name] for name in without),
        name="_".join(needs),
        reason=row["reason"],
    )
