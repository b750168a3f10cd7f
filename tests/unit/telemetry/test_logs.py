from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

from smsgate.telemetry.logs import ENTRIES_MAX, REFUSED, VALUE_MAX, configure_logs


@pytest.fixture
def sink() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    configure_logs("info", "json", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def line(sink: io.StringIO, **values: Any) -> dict[str, Any]:
    structlog.get_logger().info("happened", **values)
    (text,) = sink.getvalue().splitlines()
    found: dict[str, Any] = json.loads(text)
    return found


def test_a_line_is_one_json_object_with_level_and_time(sink: io.StringIO) -> None:
    before = datetime.now(UTC)
    found = line(sink, messages=3, at=None, ok=True)
    written = found.pop("timestamp")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", written)
    assert before - timedelta(milliseconds=1) <= datetime.fromisoformat(written) <= datetime.now(UTC)
    assert found == {"event": "happened", "level": "info", "messages": 3, "at": None, "ok": True}


def test_numbers_of_persons_are_masked_wherever_the_name_says_so(sink: io.StringIO) -> None:
    found = line(sink, msisdn="46701234567", msisdns=[33612345678], who={"Source_MSISDN": "+46701234567"})
    assert found["msisdn"] == "46*******67"
    assert found["msisdns"] == ["33*******78"]
    assert "70123456" not in json.dumps(found)


def test_numbers_quoted_by_a_database_are_masked_and_ids_are_not(sink: io.StringIO) -> None:
    found = line(sink, error="Key (msisdn)=(46701234567) exists", merchant_id=46701234567)
    assert found["error"] == "Key (msisdn)=(46*******67) exists"
    assert found["merchant_id"] == 46701234567
    structlog.get_logger().info("x", error="Failing row:\n46701234567\t\x0046701234567")
    assert "70123456" not in sink.getvalue().splitlines()[-1]
    structlog.get_logger().info("x", error="message 182736455463728190 of evt_0123456789012")
    assert "182736455463728190 of evt_0123456789012" in sink.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "text",
        "body",
        "password",
        "smpp_password",
        "secret",
        "previous_secret",
        "Authorization",
        "bearer_token",
        "dsn",
    ],
)
def test_texts_and_secrets_are_refused_by_their_name(name: str, sink: io.StringIO) -> None:
    assert line(sink, **{name: "Madonna 160"})[name] == REFUSED


def test_a_secret_inside_a_mapping_is_refused_too(sink: io.StringIO) -> None:
    assert line(sink, headers={"authorization": "Bearer x", "via": "y"})["headers"] == {
        "authorization": REFUSED,
        "via": "y",
    }


def test_no_peer_can_forge_a_line_or_steer_a_terminal(sink: io.StringIO) -> None:
    found = line(sink, reason='x\n{"event": "forged"}\x1b[2J\u2028\x85', octets=b"\x00secret")
    assert found["reason"] == 'x\\n{"event": "forged"}\\x1b[2J\\u2028\\x85'
    assert found["octets"] == "[7 octets]"


def test_the_console_escapes_as_well(sink: io.StringIO) -> None:
    stream = io.StringIO()
    configure_logs("info", "console", stream)
    structlog.get_logger().info("happened", reason="\x1b[2J\nforged", msisdn="46701234567")
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()
    assert "46*******67" in stream.getvalue()


def test_everything_is_cut_to_a_bound(sink: io.StringIO) -> None:
    deep: Any = "x" * 100_000
    for _ in range(10):
        deep = {"a": deep}
    found = line(sink, big="x" * 1_000_000, many=list(range(1_000)), deep=deep)
    assert len(found["big"]) < VALUE_MAX + 50
    assert len(found["many"]) == ENTRIES_MAX
    assert len(sink.getvalue()) < 10_000


def test_a_line_of_too_many_values_loses_some_and_never_what_it_is_about(sink: io.StringIO) -> None:
    found = line(sink, **{f"n{n}": n for n in range(100)}, exc_info=ZeroDivisionError("by nothing"))
    assert (found["event"], found["level"], found["n0"]) == ("happened", "info", 0)
    assert "timestamp" in found
    assert "ZeroDivisionError" in found["exception"]
    assert len(found) == ENTRIES_MAX


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (2**64 - 1, 2**64 - 1), (-(2**63), -(2**63)), (2**64, "0x10000000000000000"),
        (-(2**63) - 1, "-0x8000000000000001"), (True, True), (1.5, 1.5),
    ],
)  # fmt: skip
def test_a_number_that_json_does_not_take_loses_no_line(
    number: float, told: object, sink: io.StringIO
) -> None:
    found = line(sink, x=number, y={"z": [number]}, big=1 << 100_000)
    assert found["x"] == found["y"]["z"][0] == told
    assert len(found["big"]) < VALUE_MAX + 50


def test_a_traceback_stays_in_its_line(sink: io.StringIO) -> None:
    def fail() -> None:
        raise ValueError("bad 46701234567 \x1b[0m")

    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("broke")
    (text,) = sink.getvalue().splitlines()
    exception = json.loads(text)["exception"]
    assert exception.startswith("Traceback")
    assert exception.endswith("ValueError: bad 46*******67 \\x1b[0m")


def test_libraries_that_use_logging_speak_the_same_way(sink: io.StringIO) -> None:
    logging.getLogger("aiohttp.server").error("Error from %s", "46701234567")
    logging.getLogger("aiohttp.access").info("GET /")
    (text,) = sink.getvalue().splitlines()
    found = json.loads(text)
    assert (found["event"], found["level"], found["logger"]) == (
        "Error from 46*******67",
        "error",
        "aiohttp.server",
    )


def test_levels_below_the_chosen_one_cost_no_line(sink: io.StringIO) -> None:
    structlog.get_logger().debug("quiet")
    assert sink.getvalue() == ""
