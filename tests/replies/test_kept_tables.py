"""Compiled tables that are kept on disk: the same readings, and nothing that is old, damaged or another's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from smsgate import kept_tables
from smsgate.campaigns import reply_words
from smsgate.campaigns.replies import Reading, read_reply
from smsgate.campaigns.reply_entries import LANGUAGES
from smsgate.campaigns.reply_kept import (
    packed_shared,
    packed_vocabulary,
    unpacked_shared,
    unpacked_vocabulary,
)
from smsgate.kept_tables import beside_modules, of_user, reply_tables_at_hand
from tests.replies.reading import NAMES
from tests.replies.scoring import OWN, rows

OWN_ROWS = rows(OWN)
PROGRAM = """
from smsgate.campaigns.replies import read_reply
from smsgate.kept_tables import reply_tables_at_hand
print(reply_tables_at_hand(), read_reply("ok merci", "fr").label)
"""


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test a place beside the modules and one of the user, both empty."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "compiled"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))


@pytest.fixture(scope="module")
def tables() -> dict[str, bytes]:
    """Compile once for all tests that need tables, and nothing of how they came to be."""
    return reply_words.compiled_tables()


def beside() -> Path:
    path = beside_modules()
    assert path is not None
    return path


def of_this_user() -> Path:
    path = of_user()
    assert path is not None
    return path


def readings() -> list[Reading]:
    return [read_reply(row["text"], row["lang"], names=NAMES) for row in OWN_ROWS]


@pytest.mark.timeout(300)  # 70,000 replies are read
def test_kept_tables_are_the_compiled_ones_and_read_every_labelled_reply_alike() -> None:
    reply_words.shared.cache_clear()
    reply_words.vocabulary.cache_clear()
    compiled = {language: reply_words.vocabulary(language) for language in LANGUAGES}
    packed = {language: packed_vocabulary(tables) for language, tables in compiled.items()}
    packed[reply_words.EVERYONES] = packed_shared(reply_words.shared())
    assert unpacked_shared(packed[reply_words.EVERYONES]) == reply_words.shared()
    assert {language: unpacked_vocabulary(packed[language]) for language in LANGUAGES} == compiled
    before = readings()
    kept_tables._keep(packed)
    assert reply_tables_at_hand()
    assert readings() == before


def cut(octets: bytes) -> bytes:
    return octets[: len(octets) // 2]


def turned(octets: bytes, place: int) -> bytes:
    return octets[:place] + bytes([octets[place] ^ 1]) + octets[place + 1 :]


HEAD = len(kept_tables._head())
MAGIC = len(kept_tables.LAYOUT)


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(lambda octets: b"", id="empty"),
        pytest.param(cut, id="cut off"),
        pytest.param(lambda octets: turned(octets, len(octets) - 1), id="one bit of the tables"),
        pytest.param(lambda octets: turned(octets, HEAD), id="one bit of the check"),
        pytest.param(lambda octets: turned(octets, HEAD - 1), id="other words or modules"),
        pytest.param(lambda octets: turned(octets, MAGIC), id="another version of Python"),
        pytest.param(lambda octets: turned(octets, MAGIC - 2), id="another layout"),
        pytest.param(lambda octets: octets + b"x", id="something behind it"),
    ],
)
def test_what_is_not_whole_or_not_of_this_version_is_passed_over(
    spoilt: Callable[[bytes], bytes], tables: dict[str, bytes]
) -> None:
    kept_tables._keep(tables)
    assert kept_tables._read(beside()) == tables
    beside().write_bytes(spoilt(beside().read_bytes()))
    assert kept_tables._read(beside()) is None


def test_who_finds_no_tables_or_damaged_ones_compiles_and_keeps_them_for_the_next(
    tables: dict[str, bytes],
) -> None:
    kept_tables._keep(tables)
    beside().write_bytes(cut(beside().read_bytes()))
    assert not reply_tables_at_hand()
    assert beside().parent.name == "campaigns"
    assert [each.name for each in beside().parent.iterdir()] == [beside().name]
    assert read_reply("ok merci", "fr").label == "accept"
    assert reply_tables_at_hand()


def test_where_the_modules_cannot_be_written_the_users_cache_is(
    tables: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "compiled").write_text("a file, and no directory")
    kept_tables._keep(tables)
    assert of_this_user().is_file()
    assert reply_tables_at_hand()


def test_who_writes_no_compiled_modules_writes_no_tables_beside_them(
    tables: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    kept_tables._keep(tables)
    assert not beside().exists()
    assert of_this_user().is_file()


def test_where_nothing_can_be_written_nothing_is(tables: dict[str, bytes], tmp_path: Path) -> None:
    for name in ("compiled", "user"):
        (tmp_path / name).write_text("a file, and no directory")
    kept_tables._keep(tables)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["compiled", "user"]


def test_a_file_in_a_users_cache_that_others_may_write_is_passed_over(tables: dict[str, bytes]) -> None:
    path = of_this_user()
    assert kept_tables._write(path, b"")
    for mode in (0o666, 0o664):
        path.chmod(mode)
        assert not kept_tables._of_this_user_alone(path.stat())
    path.chmod(0o644)
    assert kept_tables._of_this_user_alone(path.stat())


def test_a_users_cache_holds_the_last_versions_alone(
    tables: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    directory = of_this_user().parent
    directory.mkdir(parents=True)
    for place in range(kept_tables.USERS_FILES_MAX + 3):
        old = directory / f"reply_tables.{place}.marshal"
        old.write_bytes(b"of another version")
        os.utime(old, (place, place))
    kept_tables._keep(tables)
    assert len(list(directory.iterdir())) == kept_tables.USERS_FILES_MAX
    assert of_this_user().is_file()


def test_two_processes_that_start_at_once_do_each_other_no_harm(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPYCACHEPREFIX": str(tmp_path / "compiled"),
        "PYTHONDONTWRITEBYTECODE": "",
    }

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE, text=True
        )

    assert Path(sys.pycache_prefix or "") == tmp_path / "compiled"
    both = [start(), start()]
    assert [process.communicate()[0].split()[1] for process in both] == ["accept", "accept"]
    assert kept_tables._read(beside()) is not None
    assert not list(tmp_path.rglob("reply_tables.*.marshal.*"))
