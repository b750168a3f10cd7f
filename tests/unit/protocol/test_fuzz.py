"""The short form of `make fuzz`: the same streams and the same rules."""

from __future__ import annotations

from random import Random

import pytest

from smsgate.protocol.inspection import inspect_pdu
from tests.fuzz.oracle import try_stream
from tests.fuzz.streams import block, stream

SEED = 2026


@pytest.mark.parametrize("number", range(5))
def test_no_stream_makes_the_codec_raise_what_it_does_not_declare(number: int) -> None:
    rnd = Random(number)
    for octets in block(SEED, number):
        try_stream(octets, rnd)


def test_a_block_is_the_same_whenever_it_is_made() -> None:
    assert list(block(SEED, 3)) == list(block(SEED, 3)) != list(block(SEED, 4))


def test_streams_reach_every_part_of_the_codec() -> None:
    """A fuzzer whose streams all fail at the first octets proves nothing."""
    rnd = Random(SEED)
    verdicts = [inspect_pdu(stream(rnd))["verdict"] for _ in range(3_000)]
    for verdict in ("accept", "accept_lenient", "stream", "reject_request", "incomplete", "fatal_framing"):
        assert verdicts.count(verdict) > 100, verdict
