"""
The figures of the reply reader: `make replies`, and against another revision: `make replies BASE=main`.

Prints the errors E1 to E6 on the acceptance samples, on the two parts of the own set, on those of its newest
batch and by language; with a base every row whose reading changed, with + for a gain and - for a loss (of
the newest batch's held-out rows their number alone). `--errors` names the wrong rows of the samples and of
the part that rules are tuned on, never of the part that is held out.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.replies.reading import read
from tests.replies.scoring import OWN, SAMPLES, Figures, Row, changes, error_of, is_held, is_new, rows

ROOT = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make replies", description=__doc__)
    parser.add_argument("--base", metavar="REVISION", help="say what changed since this revision")
    parser.add_argument("--errors", action="store_true", help="name the wrong rows")
    options = parser.parse_args()
    samples, own = rows(SAMPLES), rows(OWN)
    dev = [row for row in own if not is_held(row)]
    held = [row for row in own if is_held(row)]
    for name, part in (
        ("samples", samples),
        ("own set, dev", dev),
        ("own set, held out", held),
        ("newest, dev", [row for row in dev if is_new(row)]),
        ("newest, held out", [row for row in held if is_new(row)]),
    ):
        say(f"{name:18}", part, lambda row: error_of(row, *read(row)))
    for language in dict.fromkeys(row["lang"] for row in own):
        say(
            f"  {language:16}",
            [row for row in own if row["lang"] == language],
            lambda r: error_of(r, *read(r)),
        )
    if options.errors:
        for row in samples + dev:
            if error := error_of(row, *read(row)):
                show(f"{error:7} {row['lang']:7} {row['text']!r} ({row['label']}): {read(row)[0]}")
    if options.base:
        everything = samples + own
        before = read_with(options.base, everything)
        found = list(changes(everything, before, [read(row) for row in everything]))
        show(f"{len(found)} of {len(everything)} rows are read otherwise than by {options.base}")
        show("\n".join(sorted(said for row, said in found if not (is_new(row) and is_held(row)))))
        unseen = Counter(said[0] for row, said in found if is_new(row) and is_held(row))
        show("newest, held out:", *(f"{sign}{number}" for sign, number in sorted(unseen.items())))


def show(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")


def say(name: str, part: list[Row], error: Callable[[Row], str | None]) -> None:
    show(name, Figures((row, error(row)) for row in part))


def read_with(revision: str, part: list[Row]) -> list[tuple[str, int | None]]:
    """Return how the rules of another revision read the rows, in a process and a copy of its own."""
    archive = subprocess.run(
        ["git", "archive", revision, "smsgate"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
        text = "\n".join(json.dumps(row) for row in part)
        answer = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("reading.py"))],
            input=text,
            env={"PYTHONPATH": folder},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
    return [(label, quantity) for label, quantity in map(json.loads, answer.splitlines())]


if __name__ == "__main__":
    main()
