from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import pytest

from smsgate.errors import ConfigError, SealBroken
from smsgate.security.sealing import INSTANCE, MasterKey
from smsgate.store.keyring import (
    API_KEY_MAC,
    MASTER_KEY_ENV,
    PUBLIC_ID_KEY,
    StoredKeyring,
    open_master_key,
)
from smsgate.store.pool import Database

PLACE = {"table": "webhook_endpoint", "row_id": 7, "column": "secret"}


@pytest.fixture
def master() -> MasterKey:
    return MasterKey(secrets.token_bytes(32))


async def data_keys_of(database: Database, owner_id: int) -> int:
    async with database.control() as connection:
        count: int = await connection.fetchval("SELECT count(*) FROM data_key WHERE owner_id = $1", owner_id)
    return count


async def test_a_secret_sealed_by_one_process_opens_in_another(database: Database, master: MasterKey) -> None:
    first, second = [await StoredKeyring.load(database, master) for _ in range(2)]
    await first.ensure(11)
    sealed = first.seal(b"whsec", merchant_id=11, **PLACE)  # type: ignore[arg-type]
    with pytest.raises(SealBroken, match="not loaded"):
        second.open(sealed, merchant_id=11, **PLACE)  # type: ignore[arg-type]
    await second.ensure(11, [sealed])
    assert second.open(sealed, merchant_id=11, **PLACE) == b"whsec"  # type: ignore[arg-type]


async def test_sealing_without_a_key_of_the_merchant_is_refused(
    database: Database, master: MasterKey
) -> None:
    keyring = await StoredKeyring.load(database, master)
    with pytest.raises(SealBroken, match="merchant 12"):
        keyring.seal(b"x", merchant_id=12, **PLACE)  # type: ignore[arg-type]


async def test_many_processes_that_miss_a_key_at_once_make_one(database: Database, master: MasterKey) -> None:
    keyrings = await asyncio.gather(*(StoredKeyring.load(database, master) for _ in range(6)))
    await asyncio.gather(*(keyring.ensure(13) for keyring in keyrings for _ in range(3)))
    assert await data_keys_of(database, 13) == 1
    assert await data_keys_of(database, INSTANCE) == 1
    sealed = keyrings[0].seal(b"s", merchant_id=13, **PLACE)  # type: ignore[arg-type]
    assert {keyring.open(sealed, merchant_id=13, **PLACE) for keyring in keyrings} == {b"s"}  # type: ignore[arg-type]


async def test_instance_secrets_are_made_once_and_stay(database: Database, master: MasterKey) -> None:
    keyrings = await asyncio.gather(*(StoredKeyring.load(database, master) for _ in range(4)))
    found = await asyncio.gather(*(keyring.instance_secret(API_KEY_MAC) for keyring in keyrings))
    assert len(set(found)) == 1
    assert len(found[0]) == 32
    later = await StoredKeyring.load(database, master)
    assert await later.instance_secret(API_KEY_MAC) == found[0]
    assert await later.instance_secret(PUBLIC_ID_KEY) != found[0]


async def test_the_database_alone_shows_no_secret(database: Database, master: MasterKey) -> None:
    keyring = await StoredKeyring.load(database, master)
    secret = await keyring.instance_secret(API_KEY_MAC)
    async with database.control() as connection:
        stored = await connection.fetch(
            "SELECT wrapped AS octets FROM data_key UNION SELECT sealed FROM instance_secret"
        )
    assert all(secret not in row["octets"] for row in stored)


async def test_another_master_key_is_told_at_the_start(database: Database, master: MasterKey) -> None:
    await StoredKeyring.load(database, master)
    with pytest.raises(SealBroken, match="the master key that this database was made with"):
        await StoredKeyring.load(database, MasterKey(secrets.token_bytes(32)))


async def test_the_highest_key_of_a_merchant_seals_and_the_older_still_opens(
    database: Database, master: MasterKey
) -> None:
    keyring = await StoredKeyring.load(database, master)
    await keyring.ensure(14)
    before = keyring.seal(b"old", merchant_id=14, **PLACE)  # type: ignore[arg-type]
    async with database.control() as connection:
        await connection.execute(
            "INSERT INTO data_key SELECT max(number) + 1, 14, $1 FROM data_key", master.new_data_key()
        )
    later = await StoredKeyring.load(database, master)
    after = later.seal(b"new", merchant_id=14, **PLACE)  # type: ignore[arg-type]
    assert after[1:5] > before[1:5]
    assert later.open(before, merchant_id=14, **PLACE) == b"old"  # type: ignore[arg-type]
    await keyring.ensure(14, [after])
    assert keyring.open(after, merchant_id=14, **PLACE) == b"new"  # type: ignore[arg-type]


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    in_file = open_master_key(tmp_path, create=True, environ={})
    assert open_master_key(tmp_path, create=False, environ={}).key_id == in_file.key_id
    text = "3q2+7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs="
    assert open_master_key(tmp_path, create=False, environ={MASTER_KEY_ENV: text}).key_id != in_file.key_id


def test_a_missing_master_key_of_a_shared_database_is_never_made_silently(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        open_master_key(tmp_path, create=False, environ={})
    assert "copy it from another node" in caught.value.mend
    with pytest.raises(ConfigError, match="cannot be read: File name too long"):
        open_master_key(tmp_path / ("x" * 256), create=False, environ={})
    assert list(tmp_path.iterdir()) == []
