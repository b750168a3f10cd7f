"""
Log lines: one JSON object a line, or coloured text on a terminal; and what may never stand in one.

Values named like a number of a person are masked, values named like a secret or a text are refused, control
characters are escaped and everything is cut to a bound, so that no peer can forge a line or fill a disk.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum, auto
from functools import lru_cache
from typing import Any, Final, Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from smsgate.msisdn import mask

Level = Literal["debug", "info", "warning", "error"]
Form = Literal["auto", "json", "console"]

VALUE_MAX: Final = 2_000  # characters of one value
TRACEBACK_MAX: Final = 16_000
ENTRIES_MAX: Final = 20  # of a list or mapping
DEPTH_MAX: Final = 3
NAMES_KEPT: Final = 1_000  # with their kind: ours are some hundred, keys of strangers' mappings come and go
REFUSED: Final = "[refused]"
_MASKED_NAMES: Final = ("msisdn", "phone")
_REFUSED_NAMES: Final = (
    "password",
    "secret",
    "token",
    "authorization",
    "cookie",
    "credential",
    "private_key",
    "api_key",
)
_REFUSED_EXACTLY: Final = frozenset({"text", "body", "message_text", "dsn", "plaintext"})
_TRACEBACK: Final = "exception"
_OF_THE_LINE: Final = ("event", "level", "timestamp", _TRACEBACK)  # three of them are put in last
# Sentences of libraries, which may quote a row or a request; ids are longer than any number of a person.
_SENTENCES: Final = frozenset({"error", "reason", "detail", "event", _TRACEBACK})
_NUMBER: Final = re.compile(r"(?<![0-9A-Za-z_])\+?[0-9]{9,15}(?![0-9A-Za-z])")
# Libraries that speak through the standard library's logging; below WARNING they tell about each request.
_FOREIGN_LEVEL: Final = logging.WARNING


def configure_logs(level: Level = "info", form: Form = "auto", stream: TextIO | None = None) -> None:
    """Set up structlog and the standard library's logging for this process; `stream` is standard output."""
    out = sys.stdout if stream is None else stream
    as_json = form == "json" or (form == "auto" and not out.isatty())
    shared: list[Processor] = [structlog.processors.add_log_level, _stamp, _format_exception, guard]
    renderer: Processor = (
        _json
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_FOREIGN_LEVEL)


def _stamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put the instant in as structlog's own stamper writes it, in a third of its time."""
    micros = time.time_ns() // 1_000
    event["timestamp"] = f"{_second(micros // 1_000_000)}.{micros % 1_000_000:06d}Z"
    return event


@lru_cache(1)
def _second(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _format_exception(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    return structlog.processors.format_exc_info(logger, method, event) if "exc_info" in event else event


def guard(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask, refuse, escape and cut; the last processor before a line is written."""
    entries = event if len(event) <= ENTRIES_MAX else _shortened(event)
    return {key: _clean(key, value, 0) for key, value in entries.items()}


def _shortened(event: EventDict) -> EventDict:
    """Leave values out, and nothing without which nobody finds or understands the line."""
    own = {key: event[key] for key in _OF_THE_LINE if key in event}
    values = [entry for entry in event.items() if entry[0] not in own]
    return {**dict(values[: ENTRIES_MAX - len(own)]), **own}


def _clean(key: str, value: Any, depth: int) -> Any:
    kind = _kind(key)
    if kind is _REFUSED:
        return REFUSED
    if kind is _MASKED:
        return _mask(value, depth)
    if kind is _OURS:
        return value
    if type(value) in _NUMBERS:
        return _number(value)
    if isinstance(value, str):  # most are: the looks below cost more than a whole line of these
        return _sentence(key, str(value), kind)
    if isinstance(value, _OCTETS):
        return f"[{len(value)} octets]"
    if isinstance(value, Mapping) and depth < DEPTH_MAX:
        return {_escape(str(k), VALUE_MAX): _clean(str(k), v, depth + 1) for k, v in _first(value.items())}
    if isinstance(value, list | tuple | set | frozenset) and depth < DEPTH_MAX:
        return [_clean(key, entry, depth + 1) for entry in _first(value)]
    return _number(value) if isinstance(value, int | float) else _sentence(key, str(value), kind)


def _number(value: float | None) -> float | str | None:
    """Return a number as JSON takes it: one of over 64 bits, which would be refused with its line, as hex."""
    if type(value) is float or value is None or _INT_MIN <= value <= _INT_MAX:
        return value
    return _escape(hex(int(value)), VALUE_MAX)


def _sentence(key: str, value: str, kind: _Kind) -> str:
    if kind is _SENTENCE:  # first: the escape of a line end is a letter, and words with digits are ids
        value = _NUMBER.sub(lambda match: mask(match[0]), value)
    return _escape(value, TRACEBACK_MAX if key == _TRACEBACK else VALUE_MAX)


class _Kind(Enum):
    """What the name of a value says about it."""

    REFUSED = auto()
    MASKED = auto()
    OURS = auto()  # of structlog's own
    SENTENCE = auto()
    PLAIN = auto()


# Read for each value of each line: a member of an Enum takes longer to find than all that is done with it.
_REFUSED, _MASKED, _OURS, _SENTENCE = _Kind.REFUSED, _Kind.MASKED, _Kind.OURS, _Kind.SENTENCE
_NUMBERS: Final = frozenset({type(None), bool, int, float})
_OCTETS: Final = (bytes, bytearray)
_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1


@lru_cache(NAMES_KEPT)
def _kind(key: str) -> _Kind:
    name = key.lower()
    if name in _REFUSED_EXACTLY or any(part in name for part in _REFUSED_NAMES):
        return _Kind.REFUSED
    if any(part in name for part in _MASKED_NAMES):
        return _Kind.MASKED
    if name.startswith("_"):
        return _Kind.OURS
    return _Kind.SENTENCE if key in _SENTENCES else _Kind.PLAIN


def _mask(value: Any, depth: int) -> Any:
    if value is None:
        return None
    if isinstance(value, list | tuple | set | frozenset) and depth < DEPTH_MAX:
        return [_mask(entry, depth + 1) for entry in _first(value)]
    return mask(_escape(str(value), VALUE_MAX))


def _first(entries: Iterable[Any]) -> list[Any]:
    return [entry for _, entry in zip(range(ENTRIES_MAX), entries, strict=False)]


def _escape(text: str, limit: int) -> str:
    """Escape what is not printable; JSON escapes the line ends of a traceback itself."""
    if len(text) > limit:
        text = f"{text[:limit]}… ({len(text)} characters)"
    if text.isprintable():
        return text
    lines = limit == TRACEBACK_MAX
    return "".join(
        c if c.isprintable() or (lines and c == "\n") else c.encode("unicode_escape").decode() for c in text
    )


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
