"""
What everything in the store shares: the type of a connection, one translation of errors, one way to
retry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from smsgate.errors import DUPLICATE_KEY, StoreError, StoreUnavailable

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
T = TypeVar("T")

# Connection lost, deadlock or serialization, server going down or coming up, lock not had in time.
RETRYABLE_PREFIXES: Final = ("08", "40", "57P", "55P03")
AWAY_PREFIXES: Final = (*RETRYABLE_PREFIXES, "53", "57")  # also: out of resources, cancelled by a timeout
VALUE_PREFIX: Final = "22"  # data exceptions
DIVISION_BY_ZERO: Final = "22012"  # the only one of them that has no value to tell
ROW_PREFIXES: Final = ("22", "23")  # data exceptions and integrity constraints
OPEN_PREFIXES: Final = ("08", "57P", "40003")  # at COMMIT: whether it took effect is not known
SHARD_MOVED: Final = (
    "XX000"  # Citus, when a shard has just moved; also a real internal error: retry only what may repeat
)
# unique_violation, and what Citus makes of one that comes through COPY
UNIQUE_VIOLATIONS: Final = frozenset({DUPLICATE_KEY, SHARD_MOVED})
DEADLOCK: Final = "40P01"
SERIALIZATION_FAILURE: Final = "40001"
CONNECTION_LOST: Final = "08006"
RETRY_DELAYS_S: Final = (
    0.05,
    0.2,
    0.5,
    1.0,
    2.0,
)  # 3.75 s in all: longer than a deadlock, shorter than a failover


@contextmanager
def translate() -> Iterator[None]:
    """
    Turn the driver's errors into ours; use it around database work only, for an OSError counts as the
    database's.

    Raises:
        StoreUnavailable: the database is away or busy; `sqlstate` tells what is known.
        StoreError: it refused the statement; `sqlstate` is for the caller, names of constraints are not
        looked at.
    """
    try:
        yield
    except asyncpg.PostgresError as exc:
        sqlstate = exc.sqlstate or ""
        kind = StoreUnavailable if sqlstate.startswith(AWAY_PREFIXES) else StoreError
        raise _with_state(kind(_one_line(exc, sqlstate)), sqlstate) from exc
    except asyncpg.DataError as exc:
        raise _with_state(StoreError(_one_line(exc, "22000")), "22000") from exc
    except (asyncpg.InterfaceError, asyncpg.InternalClientError) as exc:
        error = _of_interface(exc)
        lost = isinstance(error, StoreUnavailable)
        raise _with_state(error, CONNECTION_LOST if lost else "") from exc
    except OSError as exc:  # connection refused or reset, socket gone, TimeoutError
        raise _with_state(
            StoreUnavailable(f"The database cannot be reached: {exc}"), CONNECTION_LOST
        ) from exc


def _one_line(exc: asyncpg.PostgresError | asyncpg.DataError, sqlstate: str) -> str:
    """
    Return what PostgreSQL said, its detail and its hint on one line; the driver has a line for each.

    The detail of a value or a row that is refused holds the row, which may be a person's: it is left out. Of
    a value that is refused (class 22) the message holds it, too: the name of the error stands for it.
    """
    message, detail, hint = exc.args[0], exc.detail, exc.hint
    if sqlstate.startswith(VALUE_PREFIX) and sqlstate != DIVISION_BY_ZERO:
        message = type(exc).__name__
    told = [message, None if sqlstate.startswith(ROW_PREFIXES) else detail, hint]
    return ". ".join(" ".join(text.split()).removesuffix(".") for text in told if text)


def _of_interface(exc: Exception) -> StoreError:
    """
    Tell a connection that is gone from a mistake of ours in using it.

    A connection that broke in the middle of a COPY leaves the driver with "another operation" in progress.
    """
    text = str(exc)
    gone = "clos" in text or "another operation" in text or isinstance(exc, asyncpg.InternalClientError)
    return StoreUnavailable(text) if gone else StoreError(text)


def _with_state(error: StoreError, sqlstate: str) -> StoreError:
    error.sqlstate = sqlstate
    return error


def begin_again(what: str) -> StoreUnavailable:
    """Return what makes whoever began the transaction begin it again, as PostgreSQL says it (40001)."""
    crossed = StoreUnavailable(what)
    crossed.sqlstate = SERIALIZATION_FAILURE
    return crossed


async def retry_transaction(
    work: Callable[[], Awaitable[T]],
    *,
    idempotent: bool,
    delays_s: tuple[float, ...] = RETRY_DELAYS_S,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """
    Run a whole transaction, again after each of `delays_s` while the database says that this may help.

    A lost connection leaves open whether the commit took effect, so 08xxx and 57Pxx are tried again only
    when the work is `idempotent`; so is XX000. 40xxx and 55P03 are certain to have changed nothing.
    """
    for delay_s in delays_s:
        try:
            return await work()
        except StoreError as exc:
            if not _may_retry(exc.sqlstate, idempotent=idempotent):
                raise
        await sleep(delay_s)
    return await work()


def _may_retry(sqlstate: str, *, idempotent: bool) -> bool:
    if sqlstate.startswith(("40", "55P03")) and sqlstate != "40003":  # 40003: completion unknown
        return True
    return idempotent and (sqlstate.startswith(RETRYABLE_PREFIXES) or sqlstate == SHARD_MOVED)


async def copy_binary(connection: Connection, table: str, columns: tuple[str, ...], data: bytes) -> None:
    """
    Send rows built by `copy_rows.RowFormat`; one duplicate key refuses them all, so copy what cannot collide.

    Only for roles without row-level security: PostgreSQL refuses COPY FROM under it.
    """
    source: Any = memoryview(data)  # the driver takes bytes for a file's path; its stubs do not know buffers
    await connection.copy_to_table(table, source=source, columns=columns, format="binary")
