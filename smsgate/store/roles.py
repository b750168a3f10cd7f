"""
The database roles, and what makes sure that they exist.

`sg_admin` exists in the embedded cluster only: its bootstrap superuser, used to make roles and databases.
`sg_owner` owns the tables (DDL, leases, partitions: the control connection). `sg_api` serves the API and the
portal under forced row-level security. `sg_bulk` sends, flushes and takes inbound, across merchants.
`sg_report` only reads. `sg_audit` only adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import asyncpg

from smsgate.errors import StoreNotReady
from smsgate.store.connection import Connection

ADMIN: Final = "sg_admin"
OWNER: Final = "sg_owner"
API: Final = "sg_api"
BULK: Final = "sg_bulk"
REPORT: Final = "sg_report"
AUDIT: Final = "sg_audit"
ROLES: Final = (OWNER, API, BULK, REPORT, AUDIT)

# Roles belong to the cluster, not to the database: two databases may make them at the same time, and an
# advisory lock is per database. So a loser of that race tries again and finds them made.
ATTEMPTS_MAX: Final = 10
BYPASSES_RLS: Final[Mapping[str, bool]] = {OWNER: True, API: False, BULK: True, REPORT: True, AUDIT: False}


async def ensure_roles(connection: Connection, *, login: bool) -> None:
    """
    Make the roles that are missing and let the current user take each of them.

    `login` is for the embedded cluster alone, where the socket's owner may be any of them (peer).

    Raises:
        StoreNotReady: a role is missing or wrong and the current user may not make it; says what to run.
    """
    for attempt in range(ATTEMPTS_MAX):
        try:
            for role in ROLES:
                await _ensure_role(connection, role, login=login)
        except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError, asyncpg.InternalServerError):
            if attempt == ATTEMPTS_MAX - 1:  # "tuple concurrently updated" is XX000
                raise
        except asyncpg.InsufficientPrivilegeError as exc:
            statements = " ".join(f"{_create(role, login=False)};" for role in ROLES)
            raise StoreNotReady(
                f"The database roles are not as they must be, and this user may not make them ({exc}). A "
                "superuser "
                f"must run: {statements} GRANT {', '.join(ROLES)} TO the user of the DSN;"
            ) from exc
        else:
            return


def _create(role: str, *, login: bool) -> str:
    bypass = "BYPASSRLS" if BYPASSES_RLS[role] else "NOBYPASSRLS"
    return (
        f"CREATE ROLE {role} {'LOGIN' if login else 'NOLOGIN'} NOSUPERUSER NOCREATEDB NOCREATEROLE {bypass}"
    )


async def _ensure_role(connection: Connection, role: str, *, login: bool) -> None:
    found = await connection.fetchrow(
        "SELECT rolsuper, rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = $1", role
    )
    if found is None:
        await connection.execute(_create(role, login=login))
    elif found["rolsuper"] or (found["rolbypassrls"] and not BYPASSES_RLS[role]):
        raise StoreNotReady(
            f"The database role {role} can read every merchant's rows, and must not: "
            f"run ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS."
        )
    elif BYPASSES_RLS[role] and not found["rolbypassrls"]:
        await connection.execute(f"ALTER ROLE {role} BYPASSRLS")
    if not await connection.fetchval("SELECT pg_has_role(current_user, $1, 'SET')", role):
        await connection.execute(f"GRANT {role} TO CURRENT_USER")
