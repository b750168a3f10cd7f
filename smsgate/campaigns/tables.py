"""The tables that ship with the package (words, rules, texts): read once, as TOML."""

from __future__ import annotations

import hashlib
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

# Beside all files below words/: what decides what a reply means and does. An echo of our own texts and of
# offers is known by the last three.
READING: Final = (
    "order_words.toml", "order_children.toml", "consent_words.toml", "blocks.toml",
    "texts.toml", "law/offers.toml", "law/offer_phrases.toml",
)  # fmt: skip
DIGITS: Final = 12  # of the digest that a version ends with: nobody looks for two tables of one digest


@cache
def rules_version() -> str:
    """Return the version of the rules that replies are read by: the date of their words, and a digest."""
    return f"{table('words', 'common.toml')['version']}+{reading_digest().hex()[:DIGITS]}"


@cache
def reading_digest() -> bytes:
    """Return what changes with any word and any line of code that replies are read by, in 32 octets."""
    return digest_of(files("smsgate.campaigns"))


def digest_of(package: Traversable) -> bytes:
    """
    Return the digest of the tables of reading below `package`, and of every module there.

    Modules that have nothing to do with replies are among them: a version too many says nothing wrong, and a
    list of those that have would be short one day.
    """
    words = sorted(each.name for each in package.joinpath("words").iterdir() if each.name.endswith(".toml"))
    modules = sorted(each.name for each in package.iterdir() if each.name.endswith((".py", ".pyc")))
    digest = hashlib.sha256()
    for name in (*(f"words/{word}" for word in words), *READING, *modules):
        octets = package.joinpath(name).read_bytes()
        digest.update(f"{name} {len(octets)}\n".encode() + octets)
    return digest.digest()


@cache
def table(*path: str) -> dict[str, Any]:
    """Return one TOML file below `smsgate/campaigns`; callers must not change it."""
    return tomllib.loads(files("smsgate.campaigns").joinpath(*path).read_text("utf-8"))
