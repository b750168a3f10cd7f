"""The tables that ship with the package (words, rules, texts): read once, as TOML."""

from __future__ import annotations

import hashlib
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

# Beside all files below words/: what decides what a reply means and does.
READING: Final = ("order_words.toml", "consent_words.toml", "blocks.toml")
DIGITS: Final = 12  # of the digest that a version ends with: nobody looks for two tables of one digest


@cache
def rules_version() -> str:
    """Return the version of the tables that replies are read by: their date, and a digest of them all."""
    return f"{table('words', 'common.toml')['version']}+{digest_of(files('smsgate.campaigns'))}"


def digest_of(package: Traversable) -> str:
    """Return what changes with any word of any table that replies are read by, in hex."""
    words = [each for each in package.joinpath("words").iterdir() if each.name.endswith(".toml")]
    digest = hashlib.sha256()
    for file in (*sorted(words, key=lambda each: each.name), *map(package.joinpath, READING)):
        octets = file.read_bytes()
        digest.update(f"{file.name} {len(octets)}\n".encode() + octets)
    return digest.hexdigest()[:DIGITS]


@cache
def table(*path: str) -> dict[str, Any]:
    """Return one TOML file below `smsgate/campaigns`; callers must not change it."""
    return tomllib.loads(files("smsgate.campaigns").joinpath(*path).read_text("utf-8"))
