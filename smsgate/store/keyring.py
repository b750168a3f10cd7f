"""
The data keys in the database, unwrapped by the master key, which never is there.

Sealing and opening are synchronous and use the keys in memory. All keys are read at the start; `ensure` reads
or makes what came since, so call it before sealing for a merchant, and with sealed values of unknown age.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from smsgate.errors import ConfigError, SealBroken
from smsgate.security.master_key_file import is_missing, load_master_key, parse_master_key
from smsgate.security.sealing import INSTANCE, Keyring, MasterKey, key_number
from smsgate.store.catalogue import load
from smsgate.store.connection import retry_transaction

if TYPE_CHECKING:
    import asyncpg

    from smsgate.store.connection import Connection
    from smsgate.store.pool import Database

MASTER_KEY_ENV: Final = "SMSGATE_MASTER_KEY"
MASTER_KEY_FILE: Final = "master.key"
API_KEY_MAC: Final = "api_key_mac"  # instance secret: what API keys are hashed under
ESME_MAC: Final = "esme_password_mac"  # instance secret: what ESMEs' passwords are hashed under
SUPPRESSION_MAC: Final = "suppression_mac"  # instance secret: what suppressed numbers are hashed under
PROOF_KEY: Final = "proof_key"  # instance secret: what proof files are signed with
PUBLIC_ID_KEY: Final = "public_id_key"  # instance secret: what public ids are made under
SECRET_OCTETS: Final = 32
LOCK_KEY: Final = 0x736D7367_00000003  # "smsg", 3: one maker of keys at a time
_SQL: Final = load("keyring")


def open_master_key(state_dir: Path, *, create: bool, environ: Mapping[str, str] | None = None) -> MasterKey:
    """
    Return the master key of `SMSGATE_MASTER_KEY`, else of `<state_dir>/master.key`.

    `create` makes a missing file: right for a database in the same directory, and for no other, since
    a second machine would make a second key.

    Raises:
        ConfigError: missing or not fit to be a key; says what to do.
    """
    environ = os.environ if environ is None else environ
    if text := environ.get(MASTER_KEY_ENV):
        return parse_master_key(text, MASTER_KEY_ENV)
    path = state_dir / MASTER_KEY_FILE
    if not create and is_missing(path):
        raise ConfigError(
            "there is no master key, and secrets in the database cannot be opened",
            where=str(path),
            mend=f"copy it from another node, or set {MASTER_KEY_ENV}; for a new database: "
            f"`openssl rand -base64 32 > {path} && chmod 0400 {path}`",
        )
    return load_master_key(path, create=create)


class StoredKeyring:
    """Implements `flows.ports.Secrets` and `flows.ports_webhooks.DataKeys`; make it with `load`."""

    def __init__(self, database: Database, master: MasterKey) -> None:
        self._database = database
        self._master = master
        self._keys = Keyring(master)
        self._reading = asyncio.Lock()

    @classmethod
    async def load(cls, database: Database, master: MasterKey) -> Self:
        """
        Read every data key and have one for the instance.

        Raises:
            SealBroken: the keys in the database are wrapped by another master key.
        """
        self = cls(database, master)
        async with database.control() as connection:
            self._add(await connection.fetch(_SQL["data_keys"]))
        await self.ensure(INSTANCE)
        return self

    async def ensure(self, merchant_id: int, sealed: Sequence[bytes] = ()) -> None:
        """
        Have a key that seals for this merchant, made if there is none, and those that `sealed` need.

        Raises:
            SealBroken: one of `sealed` is no sealed value, or a key is wrapped by another master key.
            StoreUnavailable: the database is away; what is in memory still works.
        """
        if self._has(merchant_id, sealed):
            return
        async with self._reading:
            if not self._has(merchant_id, sealed):
                await retry_transaction(lambda: self._read_or_make(merchant_id, sealed), idempotent=True)

    def seal(self, plaintext: bytes, *, table: str, merchant_id: int, row_id: int, column: str) -> bytes:
        """
        Return `plaintext` sealed for one place.

        Raises:
            SealBroken: no key of this merchant is in memory: `ensure` was not awaited.
        """
        return self._keys.seal(plaintext, table=table, merchant_id=merchant_id, row_id=row_id, column=column)

    def open(self, sealed: bytes, *, table: str, merchant_id: int, row_id: int, column: str) -> bytes:
        """
        Return the plaintext.

        Raises:
            SealBroken: damaged, of another place, or its key is not in memory (`ensure` with it, then again).
        """
        return self._keys.open(sealed, table=table, merchant_id=merchant_id, row_id=row_id, column=column)

    async def instance_secret(self, name: str) -> bytes:
        """Return 32 octets that all processes of this instance share; made by the first that asks."""
        return await retry_transaction(lambda: self._instance_secret(name), idempotent=True)

    def _has(self, merchant_id: int, sealed: Iterable[bytes]) -> bool:
        return self._keys.current(merchant_id) is not None and all(
            self._keys.holds(key_number(value)) for value in sealed
        )

    async def _read_or_make(self, merchant_id: int, sealed: Sequence[bytes]) -> None:
        numbers = [key_number(value) for value in sealed]
        async with self._database.control() as connection:
            self._add(await connection.fetch(_SQL["data_keys_of"], merchant_id, numbers))
            if self._keys.current(merchant_id) is None:
                async with connection.transaction():
                    await connection.execute(_SQL["lock"], LOCK_KEY)
                    rows = await connection.fetch(_SQL["data_keys_of"], merchant_id, [])
                    if not rows:
                        wrapped = self._master.new_data_key()
                        rows = await connection.fetch(_SQL["insert_data_key"], merchant_id, wrapped)
                self._add(rows)  # only what is committed may seal

    async def _instance_secret(self, name: str) -> bytes:
        async with self._database.control() as connection, connection.transaction():
            if (found := await connection.fetchval(_SQL["instance_secret"], name)) is None:
                found = await self._make_instance_secret(connection, name)
        await self.ensure(INSTANCE, [found])
        return self.open(found, table="instance_secret", merchant_id=INSTANCE, row_id=0, column=name)

    async def _make_instance_secret(self, connection: Connection, name: str) -> bytes:
        await connection.execute(_SQL["lock"], LOCK_KEY)
        found: bytes | None = await connection.fetchval(_SQL["instance_secret"], name)
        if found is None:
            found = self.seal(
                secrets.token_bytes(SECRET_OCTETS),
                table="instance_secret",
                merchant_id=INSTANCE,
                row_id=0,
                column=name,
            )
            await connection.execute(_SQL["insert_instance_secret"], name, found)
        return found

    def _add(self, rows: Iterable[asyncpg.Record]) -> None:
        for row in rows:
            try:
                self._keys.add(row["number"], row["owner_id"], row["wrapped"])
            except SealBroken as exc:
                raise SealBroken(
                    f"{exc}: start with the master key that this database was made with"
                ) from exc
