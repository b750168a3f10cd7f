"""The proof file of an order: all that led to it and came of it (its form: security/proof_chain.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from smsgate.clock import Clock
from smsgate.flows.order_entries import ProofRows, entries_of, in_order, instant
from smsgate.security.proof_chain import ProofKey
from smsgate.security.proof_stamps import Stamp, entry_of
from smsgate.security.public_ids import PublicIds


class ProofStore(Protocol):
    async def rows(self, merchant_id: int, order_id: int) -> tuple[ProofRows, Sequence[Stamp]]:
        """
        Return what the database holds about an order now, and the stamps that say what it held before.

        Raises:
            NotFound: no such order of this merchant.
        """
        ...


class OrderProofs:
    def __init__(self, store: ProofStore, public_ids: PublicIds, clock: Clock, key: ProofKey) -> None:
        self._store = store
        self._public_ids = public_ids
        self._clock = clock
        self._key = key

    async def file(self, merchant_id: int, order_id: int) -> bytes:
        """
        Return the proof file as it is now: JSON lines.

        Raises:
            NotFound: no such order of this merchant.
        """
        rows, stamps = await self._store.rows(merchant_id, order_id)
        entries = [*entries_of(rows, self._public_ids), *map(entry_of, stamps)]
        return self._key.sealed(in_order(entries), instant(self._clock.now()))
