"""The proofs of `smsgate billing verify`, set-wise and of one snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from smsgate.flows.verifying import INVARIANTS, LISTED, Counts, Finding, Looked
from smsgate.money import MINOR_DIGITS, micros_per_minor
from smsgate.protocol.receipt_states import FINAL, ReceiptState
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection
from smsgate.store.pool import Database
from smsgate.store.retired import horizon

_SQL: Final = load("verify")
_MESSAGES: Final = load("verify_messages")
_DOCUMENTS: Final = load("verify_documents")
_PAYOUTS: Final = load("verify_payouts")
_BUDGETS: Final = load("verify_budgets")
_SPENT: Final = load("verify_spent")
_RETIRED: Final = load("retired")
_SEALS: Final = load("ledger_seals")
_FINALS: Final = sorted(FINAL)
# The groups of 10 million rows stay in memory: 290,000 of some 530 octets. A hash may take twice of it; the
# proof runs alone and rarely.
WORK_MEM: Final = "192MB"
# No findings: what was looked at, in the order of `Counts`.
COUNTED: Final = ("rows", "charged", "replies")

Kept = tuple[int, datetime]  # the first message id whose rows are kept, and its instant


class PgVerify:
    """Implements `verifying.VerifyStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def looked(self) -> Looked:
        async with self._database.report() as connection:
            return await looked_of(connection)


async def looked_of(connection: Connection) -> Looked:
    """Run all proofs, and list what `LISTED` names, in the caller's transaction, which is one snapshot."""
    await _take_one_core(connection)
    kept = await horizon(connection)
    delivered = await connection.fetchval(_SQL["delivered_items"])
    found = await _plain(connection, kept, delivered)
    for proofs in (_DOCUMENTS, _PAYOUTS):
        found += await _by_currency(connection, proofs)
    found += [Finding(*row) for row in await connection.fetch(_SEALS["proofs"])]
    found += await _messages(connection, kept, delivered)
    found += await _by_currency(connection, _BUDGETS)
    found += await _spent(connection, kept[0])
    told = {finding.invariant: finding.wrong for finding in found}
    return Looked(
        [finding for finding in found if finding.invariant in INVARIANTS],
        Counts(*(told[name] for name in COUNTED)),
        [finding for finding in found if finding.invariant in LISTED],
    )


async def _take_one_core(connection: Connection) -> None:
    """The proof runs beside gateways: workers would take their cores, and more CPU in all."""
    await connection.execute(f"SET LOCAL work_mem = '{WORK_MEM}'")
    await connection.execute("SET LOCAL max_parallel_workers_per_gather = 0")


async def _plain(connection: Connection, kept: Kept, delivered: Sequence[int]) -> list[Finding]:
    first_id, kept_from = kept
    found: list[Finding] = []
    for name in ("unbalanced", "entry_pairs", "replies", "reply_prices", "entry_prices", "prices"):
        found += [Finding(*row) for row in await connection.fetch(_SQL[name])]
    found += [Finding(*row) for row in await connection.fetch(_SQL["reversals"], first_id)]
    found += [Finding(*row) for row in await connection.fetch(_SQL["campaigns"], delivered, first_id)]
    found += [Finding(*row) for row in await connection.fetch(_RETIRED["books"], kept_from)]
    found += [Finding(*row) for row in await connection.fetch(_RETIRED["chain"])]
    return found


async def _by_currency(connection: Connection, proofs: Mapping[str, str]) -> list[Finding]:
    """Run proofs, of which some want to know the currencies' minor units."""
    currencies = sorted(MINOR_DIGITS)
    scales = [micros_per_minor(currency) for currency in currencies]
    found: list[Finding] = []
    for sql in proofs.values():
        arguments = (currencies, scales) if "$1" in sql else ()
        found += [Finding(*row) for row in await connection.fetch(sql, *arguments)]
    return found


async def _spent(connection: Connection, first_id: int) -> list[Finding]:
    found: list[Finding] = []
    for sql in _SPENT.values():
        arguments = (first_id,) if "$1" in sql else ()
        found += [Finding(*row) for row in await connection.fetch(sql, *arguments)]
    return found


async def _messages(connection: Connection, kept: Kept, delivered: Sequence[int]) -> list[Finding]:
    # The planner would rather sort the rows: it cannot guess how few groups they have.
    await connection.execute("SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off")
    names = [ReceiptState(state).name for state in _FINALS]
    rows = await connection.fetch(_MESSAGES["messages"], *kept, delivered, _FINALS, names)
    await connection.execute("SET LOCAL enable_sort = on; SET LOCAL enable_incremental_sort = on")
    return [Finding(*row) for row in rows]
