"""How commands end: four codes, one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import IntEnum
from typing import Final

from smsgate.errors import ConfigError, Invalid, SmsgateError, StoreNotReady, StoreUnavailable


class Exit(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    DATABASE = 3
    INTERRUPTED = 130  # as shells say it: 128 and the number of SIGINT
    TERMINATED = 143


TABLE: Final = """\b
Exit codes:
  0    done
  1    failed: the sentence on standard error says why and what to do
  2    the command line or the configuration cannot work
  3    the database is not available
  130  interrupted by Ctrl-C (143: by SIGTERM), but for run, demo and smsc, which end in order with 0"""


class UsageRefused(SmsgateError):
    """What was typed cannot be meant; found out after the options were read."""

    code = "usage"


@contextmanager
def as_usage(option: str) -> Iterator[None]:
    """Say which option holds a value that the gateway does not take."""
    try:
        yield
    except Invalid as exc:
        raise UsageRefused(f"{option}: {exc}") from None


def instant_of(option: str, text: str) -> datetime:
    """
    Return the instant that an option names.

    Raises:
        UsageRefused: it is none, or without a zone.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise UsageRefused(f"{option}: {text[:40]!r} is no instant such as 2027-01-01T00:00:00+01:00.")
    return at


def exit_of(error: SmsgateError) -> Exit:
    if isinstance(error, ConfigError | UsageRefused):
        return Exit.USAGE
    if isinstance(error, StoreUnavailable | StoreNotReady):
        return Exit.DATABASE
    return Exit.FAILED


def sentence_of(error: SmsgateError) -> str:
    """Return what is wrong, where, and what to write instead."""
    if not isinstance(error, ConfigError):
        words = str(error) or error.code
        plain = words.partition(" ")[0].isalpha()  # no file, option or key that is written as it is
        return _ended(words[:1].upper() + words[1:] if plain else words)
    message = str(error)
    where = f"{error.where}: " if error.where and error.where not in message else ""
    mend = f" {error.mend[:1].upper()}{error.mend[1:]}" if error.mend else ""
    return f"{where}{_ended(message)}{_ended(mend) if mend else ''}"


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
