"""The embedded PostgreSQL's buffers follow the memory of the machine, or of the container that it runs in."""

from __future__ import annotations

from pathlib import Path

import pytest

from smsgate.store.embedded_memory import memory_octets, shared_buffers
from smsgate.store.embedded_server import SETTINGS

GIB = 1 << 30


@pytest.mark.parametrize(
    ("memory", "buffers"),
    [
        (GIB // 4, "128MB"),
        (GIB // 2, "128MB"),
        (GIB, "256MB"),
        (8 * GIB, "2048MB"),
        (16 * GIB, "4096MB"),
        (512 * GIB, "4096MB"),
    ],
)
def test_a_quarter_of_the_memory_up_to_a_limit_holds_pages(memory: int, buffers: str) -> None:
    assert shared_buffers(memory) == buffers


def test_the_size_is_set_nowhere_else() -> None:
    assert "shared_buffers" not in SETTINGS


def test_a_containers_limit_counts_when_it_is_less_than_the_machine_has(tmp_path: Path) -> None:
    of_machine = memory_octets(())
    assert of_machine > GIB // 4
    limit = tmp_path / "memory.max"
    for text, octets in (
        ("max\n", of_machine),
        (f"{1 << 62}\n", of_machine),
        ("104857600\n", 104857600),
        ("", of_machine),
    ):
        limit.write_text(text)
        assert memory_octets((limit, tmp_path / "missing")) == octets
