"""The compiled reading of replies says what plain Python says; run by `make test-fast`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Final

import pytest

import smsgate.campaigns
from smsgate.campaigns import replies
from smsgate.campaigns.replies import Context, read_reply
from smsgate.compiled import compiled_modules, compiled_parts
from tests.replies.scoring import OWN, SAMPLES, rows

pytestmark = pytest.mark.compiled

ROOM: Final = Path(smsgate.campaigns.__file__).parent
NAMES: Final = ("Boxman", "Madonna")
MUTATED: Final = 20_000
PLAIN: Final = """
import json, sys
sys.modules["smsgate_fast"] = None
from smsgate.campaigns import replies
from smsgate.campaigns.replies import Context
assert replies.__file__.endswith(".py")
for line in sys.stdin:
    text, language, context = json.loads(line)
    reading = replies.read_reply(text, language, names=("Boxman", "Madonna"), context=Context(context))
    print(json.dumps(reading))
"""


def mutated(random: Random, texts: list[str]) -> str:
    """Return parts of texts that people wrote, with characters lost, doubled, changed and of any script."""
    parts = [random.choice(texts) for _ in range(random.randint(1, 3))]
    letters = list(random.choice((" ", "\n", ", ", "")).join(parts))
    for _ in range(random.randint(0, 4)):
        place = random.randrange(len(letters) + 1)
        letters[place : place + random.randint(0, 3)] = random.choice(
            (
                "",
                " ",
                chr(random.randint(1, 0xD7FF)),
                chr(random.randint(0x1F300, 0x1FAFF)),
                "0",
                "’",
                ">",
                "\n",
            )
        )
    return "".join(letters)


def test_the_compiled_modules_are_the_ones_that_read() -> None:
    assert Path(replies.__file__).suffix in {".so", ".pyd"}
    assert compiled_parts() == ["pump", "campaigns"]


def test_each_reply_is_read_as_plain_python_reads_it() -> None:
    random, labelled = Random(60), [*rows(SAMPLES), *rows(OWN)]
    texts, languages = [row["text"] for row in labelled], sorted({row["lang"] for row in labelled})
    contexts = [each.value for each in Context]
    asked = [(row["text"], row["lang"], Context.OFFER.value) for row in labelled]
    asked += [
        (mutated(random, texts), random.choice(languages), random.choice(contexts)) for _ in range(MUTATED)
    ]
    plain = subprocess.run(
        [sys.executable, "-c", PLAIN],
        input="".join(f"{json.dumps(each)}\n" for each in asked), capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert len(plain) == len(asked)
    for (text, language, context), said in zip(asked, plain, strict=True):
        reading = read_reply(text, language, names=NAMES, context=Context(context))
        assert json.loads(said) == json.loads(json.dumps(reading)), (text, language, context)


def test_modules_that_were_made_of_another_source_are_left_aside(tmp_path: Path) -> None:
    room = Path(shutil.copytree(ROOM, tmp_path / ROOM.name))
    assert len(compiled_modules(room)) == 1
    for name in ("reply_stops.py", "reply_entries.py"):  # one that is compiled, one whose constants are
        changed = room / name
        text = changed.read_text("utf-8")
        changed.write_text(text + "\n", "utf-8")
        assert compiled_modules(room) == []
        changed.unlink()
        assert compiled_modules(room) == []
        changed.write_text(text, "utf-8")
        assert len(compiled_modules(room)) == 1
    (room / "another.py").write_text("", "utf-8")
    assert compiled_modules(room) == []
