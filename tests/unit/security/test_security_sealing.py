"""Secrets sealed for one place, data keys under a master key, and the master key's file."""

from __future__ import annotations

import base64
import os
import secrets
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypedDict, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.errors import ConfigError, SealBroken
from smsgate.security.master_key_file import load_master_key, new_master_key_text, parse_master_key
from smsgate.security.sealing import INSTANCE, Keyring, MasterKey, key_number, rewrap


class Place(TypedDict):
    table: str
    merchant_id: int
    row_id: int
    column: str


PLACE: Place = {"table": "webhook_endpoint", "merchant_id": 7, "row_id": 1 << 60, "column": "secret"}


def but(**other: object) -> Place:
    return cast("Place", {**PLACE, **other})


def a_master() -> MasterKey:
    return parse_master_key(new_master_key_text())


def a_keyring(master: MasterKey | None = None) -> Keyring:
    master = master or a_master()
    keyring = Keyring(master)
    keyring.add(1, None, master.new_data_key())
    keyring.add(2, 7, master.new_data_key())
    keyring.add(3, 8, master.new_data_key())
    return keyring


@given(st.binary(max_size=300))
def test_a_sealed_value_opens_in_its_place_and_is_33_octets_longer(plaintext: bytes) -> None:
    keyring = a_keyring()
    sealed = keyring.seal(plaintext, **PLACE)
    assert len(sealed) == len(plaintext) + 33
    assert keyring.open(sealed, **PLACE) == plaintext


@pytest.mark.parametrize(
    "other",
    [
        {"table": "carrier"},
        {"merchant_id": 8},
        {"merchant_id": INSTANCE},
        {"row_id": 1},
        {"column": "old_secret"},
        {"table": "webhook_endpoints", "column": "ecret"},
        {"table": "webhook_endpoin", "column": "tsecret"},
    ],
)
def test_a_value_moved_to_another_place_does_not_open(other: dict[str, object]) -> None:
    keyring = a_keyring()
    sealed = keyring.seal(b"whsec_x", **PLACE)
    with pytest.raises(SealBroken):
        keyring.open(sealed, **but(**other))


def test_a_value_under_the_number_of_another_key_of_the_merchant_does_not_open() -> None:
    master = a_master()
    keyring = Keyring(master)
    wrapped = master.new_data_key()
    keyring.add(4, 7, wrapped)
    sealed = keyring.seal(b"secret", **PLACE)
    keyring.add(5, 7, wrapped)  # the same key again: the number alone differs
    with pytest.raises(SealBroken):
        keyring.open(sealed[:4] + b"\x05" + sealed[5:], **PLACE)


def test_a_change_of_any_octet_is_noticed() -> None:
    keyring = a_keyring()
    sealed = keyring.seal(b"secret", **PLACE)
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(SealBroken):
            keyring.open(bytes(changed), **PLACE)


@given(st.binary(max_size=60))
def test_random_octets_do_not_open_and_raise_nothing_else(octets: bytes) -> None:
    with pytest.raises(SealBroken):
        a_keyring().open(octets, **PLACE)


def test_equal_secrets_look_different() -> None:
    keyring = a_keyring()
    assert keyring.seal(b"same", **PLACE)[17:] != keyring.seal(b"same", **PLACE)[17:]


def test_a_merchant_without_a_key_is_sealed_by_nobody_elses() -> None:
    with pytest.raises(SealBroken, match="merchant 9"):
        a_keyring().seal(b"x", **but(merchant_id=9))


def test_another_merchants_key_is_not_even_tried() -> None:
    keyring = a_keyring()
    sealed = keyring.seal(b"secret", **but(merchant_id=8))
    with pytest.raises(SealBroken, match="not of merchant 7"):
        keyring.open(sealed, **PLACE)


def test_a_new_number_seals_and_the_old_stays_readable_in_whatever_order_they_come() -> None:
    master = a_master()
    old, new = master.new_data_key(), master.new_data_key()
    before = Keyring(master)
    before.add(10, 7, old)
    sealed = before.seal(b"secret", **PLACE)
    after = Keyring(master)
    after.add(11, 7, new)
    after.add(10, 7, old)
    assert after.current(7) == 11
    assert key_number(after.seal(b"secret", **PLACE)) == 11
    assert after.open(sealed, **PLACE) == b"secret"
    assert after.holds(key_number(sealed))
    assert not before.holds(11)


def test_rewrapped_keys_open_what_was_sealed_before_and_the_old_master_no_more() -> None:
    old, new = a_master(), a_master()
    wrapped = old.new_data_key()
    keyring = Keyring(old)
    keyring.add(2, 7, wrapped)
    sealed = keyring.seal(b"secret", **PLACE)
    moved = rewrap(wrapped, old, new)
    reader = Keyring(new)
    reader.add(2, 7, moved)
    assert reader.open(sealed, **PLACE) == b"secret"
    with pytest.raises(SealBroken, match=old.key_id.hex()):
        Keyring(old).add(2, 7, moved)


def test_a_damaged_wrapped_key_is_refused_at_every_octet() -> None:
    master = a_master()
    wrapped = master.new_data_key()
    for place in range(len(wrapped)):
        changed = bytearray(wrapped)
        changed[place] ^= 1
        with pytest.raises(SealBroken):
            master.unwrap(bytes(changed))
    with pytest.raises(SealBroken):
        master.unwrap(wrapped[:-1])


def test_what_the_database_holds_contains_neither_secret_nor_key() -> None:
    octets = secrets.token_bytes(32)
    master = MasterKey(octets)
    wrapped = master.new_data_key()
    keyring = Keyring(master)
    keyring.add(2, 7, wrapped)
    dump = wrapped + keyring.seal(b"carrier password", **PLACE)
    for secret in (octets, master.unwrap(wrapped), b"carrier password"):
        assert secret not in dump
    assert octets.hex() not in repr(master)


def test_a_master_key_reads_the_same_from_octets_and_every_base64_spelling() -> None:
    octets = secrets.token_bytes(32)
    text = base64.b64encode(octets).decode()
    spellings = (octets, text, text + "\n", text.rstrip("="), base64.urlsafe_b64encode(octets), text.encode())
    assert {parse_master_key(spelling).key_id for spelling in spellings} == {MasterKey(octets).key_id}


@pytest.mark.parametrize(
    "material",
    [b"", b"\0" * 32, "A" * 43, "password", "é" * 32, b"\xff" * 31, bytes(range(33)), "x" * 32],
)
def test_what_is_no_random_key_is_refused_and_not_repeated(material: bytes | str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_master_key(material)
    assert refusal.value.mend
    assert not material or str(material) not in str(refusal.value)


def test_a_key_file_is_made_once_owner_only_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    made = load_master_key(path, create=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert load_master_key(path, create=True).key_id == made.key_id == load_master_key(path).key_id
    assert [entry.name for entry in tmp_path.iterdir()] == ["master.key"]


def test_starts_at_the_same_time_agree_on_one_key(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    with ThreadPoolExecutor(8) as pool:
        masters = list(pool.map(lambda _: load_master_key(path, create=True), range(8)))
    assert len({master.key_id for master in masters}) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["master.key"]


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o420, 0o644, 0o402])
def test_a_key_file_open_to_others_is_refused_with_the_command_that_mends_it(
    tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "master.key"
    load_master_key(path, create=True)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"{mode:04o}") as refusal:
        load_master_key(path)
    assert refusal.value.mend == f"chmod 0400 {path}"


def test_a_missing_file_a_directory_and_a_pipe_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "directory").mkdir(mode=0o700)
    for name in ("missing", "pipe", "directory"):
        with pytest.raises(ConfigError):
            load_master_key(tmp_path / name)
    with pytest.raises(ConfigError):
        load_master_key(tmp_path / "nowhere" / "master.key", create=True)
    for create in (True, False):
        with pytest.raises(ConfigError, match="File name too long"):
            load_master_key(tmp_path / ("x" * 256) / "master.key", create=create)


@pytest.mark.parametrize("other", [1, 65_534])
def test_a_key_file_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: int
) -> None:
    path = tmp_path / "master.key"
    load_master_key(path, create=True)
    owner = path.stat().st_uid
    if owner == 0:  # root may give the file away; others may only look as somebody else
        os.chown(path, other, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: owner + other)
    with pytest.raises(ConfigError, match="belongs to user"):
        load_master_key(path)
