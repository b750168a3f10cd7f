"""
The proof file of a consent: what a person agreed to, how, in which words, and what came of it.

Its form is that of an order's (security/proof_chain.py), and so is what verifies it. It holds one person's
consent of one purpose from its beginning on: the wording's version, source, time and who of each event, the
replies as they came, the gateway's texts with their receipts, and each revocation.
"""

from __future__ import annotations

from typing import Protocol

from smsgate.clock import Clock
from smsgate.flows.order_entries import ProofRows, entries_of, instant
from smsgate.security.proof_chain import ProofKey
from smsgate.security.public_ids import PublicIds


class ConsentProofStore(Protocol):
    async def whose(self, merchant_id: int, consent_id: int) -> tuple[int, str]:
        """
        Return subscriber and purpose of an entry of the consent log.

        Raises:
            NotFound: no such consent of this merchant.
        """
        ...

    async def rows(self, merchant_id: int, subscriber_id: int, purpose: str) -> ProofRows:
        """
        Return what the database holds of a person's consent now, without an order.

        Raises:
            NotFound: nothing of it was ever logged.
        """
        ...


class ConsentProofs:
    def __init__(self, store: ConsentProofStore, public_ids: PublicIds, clock: Clock, key: ProofKey) -> None:
        self._store = store
        self._public_ids = public_ids
        self._clock = clock
        self._key = key

    async def of_consent(self, merchant_id: int, consent_id: int) -> bytes:
        """
        Return the proof file that an entry of the consent log stands in: JSON lines.

        Raises:
            NotFound: no such consent of this merchant.
        """
        return await self.file(merchant_id, *await self._store.whose(merchant_id, consent_id))

    async def file(self, merchant_id: int, subscriber_id: int, purpose: str) -> bytes:
        """
        Return the proof file of a person's consent of a purpose: JSON lines.

        Raises:
            NotFound: nothing of it was ever logged.
        """
        rows = await self._store.rows(merchant_id, subscriber_id, purpose)
        return self._key.sealed(entries_of(rows, self._public_ids), instant(self._clock.now()))
