"""The image carries what is compiled, and no compiler; what it copies is there, and is sent to the daemon."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
COMPILER = re.compile(r"\b(gcc|g\+\+|clang|build-essential|libc6-dev|python3-dev)\b")


def stages() -> list[str]:
    """Return the text of each stage, without comments and line ends."""
    text = (ROOT / "Dockerfile").read_text()
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]


def test_what_is_compiled_is_built_in_a_stage_of_its_own_and_the_last_one_has_no_compiler() -> None:
    compiled, final = stages()
    assert compiled.startswith("python:3.12-slim AS compiled\n")
    assert final.startswith("python:3.12-slim\n")  # the same Python: else the wheel is another one's
    assert COMPILER.search(compiled)
    assert not COMPILER.search(final)
    assert "RUN make fast-wheel" in compiled
    copied, installed = (
        final.index("COPY --from=compiled /app/dist dist"),
        final.index("make fast-from-wheel"),
    )
    assert final.index("RUN make runtime") < copied < installed


def test_all_that_is_copied_is_there_and_sent_to_the_daemon() -> None:
    unsent = [line for line in (ROOT / ".dockerignore").read_text().split() if "*" not in line]
    for stage in stages():
        for line in re.findall(r"^COPY (?!--from)(.+)$", stage, flags=re.MULTILINE):
            for name in line.split()[:-1]:
                assert (ROOT / name).exists(), name
                assert name not in unsent


def test_each_make_target_of_the_image_is_one_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    used = set(
        re.findall(
            r"\bmake ([a-z-]+)", " ".join(re.findall(r"^RUN make .+$", "".join(stages()), re.MULTILINE))
        )
    )
    assert used
    assert used <= targets
