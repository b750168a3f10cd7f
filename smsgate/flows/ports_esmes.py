"""What the use cases of other companies' ESMEs ask of the store and of the sockets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from smsgate.flows.commerce_records import Page, PageAsk
from smsgate.flows.esme_records import (
    AccountDraft,
    EsmeAccount,
    EsmeDelivery,
    EsmeSession,
    MessageState,
    Replacement,
    StoredSubmission,
    Submission,
)


class EsmeAccountStore(Protocol):
    async def add(self, draft: AccountDraft) -> EsmeAccount:
        """
        Store an account.

        Raises:
            Conflict: the system_id is taken, or a number goes to another account.
            NotFound: no such merchant.
        """
        ...

    async def all(self) -> list[EsmeAccount]: ...

    async def by_system_id(self, system_id: str) -> EsmeAccount | None: ...

    async def page(self, merchant_id: int, ask: PageAsk) -> Page[EsmeAccount]: ...

    async def set_password(self, account_id: int, password_mac: bytes) -> EsmeAccount:
        """Raises NotFound: no such account."""
        ...

    async def set_active(self, account_id: int, *, active: bool) -> EsmeAccount:
        """Raises NotFound: no such account."""
        ...


class EsmeTrafficStore(Protocol):
    async def add_submissions(
        self,
        submissions: Sequence[Submission],
        message_ids: Sequence[int],
        *,
        now: datetime,
        again: bool = False,
    ) -> list[StoredSubmission]:
        """
        Store them under these ids in one transaction, each with its fate; what is answered with 0 is durable.

        `again`: they were given before and the commit was not seen; what stands is not written twice.

        Raises:
            StoreError: the database refused a row, and with it all.
            CommitUnknown: whether they are stored is unknown.
            StoreUnavailable: the database is away; nothing of them is stored by this call.
        """
        ...

    async def waiting(self) -> dict[int, int]:
        """Return how many messages of each account wait to leave."""
        ...

    async def spent(self, now: datetime) -> dict[int, int]:
        """Return the segments that each account was accepted today (UTC)."""
        ...

    async def state(self, account: EsmeAccount, message_id: int) -> MessageState | None:
        """Return what became of a message of this account; None: it has no such message."""
        ...

    async def cancel(self, account: EsmeAccount, message_ids: Sequence[int], now: datetime) -> int:
        """End messages of this account that nobody has begun to send; return how many."""
        ...

    async def waiting_to(self, account: EsmeAccount, sender: str, msisdn: int) -> list[int]:
        """Return the account's messages from `sender` to `msisdn` that wait."""
        ...

    async def body(self, account: EsmeAccount, message_id: int) -> bytes | None:
        """Return the submit_sm body of a message of this account that waits."""
        ...

    async def replace(
        self, account: EsmeAccount, message_id: int, replacement: Replacement, now: datetime
    ) -> bool:
        """
        Put another text in the place of a message that waits; False: it does not wait any more.

        What is claimed later is the new text. Segments above the old one's count for the day of `now`.
        """
        ...


class EsmeDeliveryStore(Protocol):
    async def due(self, accounts: Sequence[tuple[int, int]], now: datetime) -> list[tuple[int, int]]:
        """Return those of these (merchant, account) for which something is due."""
        ...

    async def claim(
        self, merchant_id: int, account_id: int, limit: int, *, now: datetime, again_at: datetime
    ) -> list[EsmeDelivery]:
        """Take what is due, oldest first; given again at `again_at` unless it is settled before."""
        ...

    async def settle(
        self,
        done: Mapping[int, Sequence[int]],
        later: Mapping[int, Sequence[int]],
        again: Mapping[int, Sequence[int]],
        *,
        now: datetime,
    ) -> None:
        """
        Forget what was delivered; give again what was refused, ever later, and what nobody saw, at once.

        All three are delivery ids by merchant.
        """
        ...

    async def backlog(self) -> int:
        """Return how many receipts and MOs wait for their ESMEs."""
        ...


class EsmeSessions(Protocol):
    """The binds of this process, as the flows see them."""

    def rooms(self) -> Mapping[tuple[int, int], int]:
        """Return how many deliver_sm each (merchant, account)'s sessions take now, where any."""
        ...

    def deliver(self, account_id: int, deliveries: Sequence[EsmeDelivery]) -> int:
        """Write them, oldest first; return how many were taken. Each of these comes back once."""
        ...

    def sessions(self) -> list[EsmeSession]: ...
