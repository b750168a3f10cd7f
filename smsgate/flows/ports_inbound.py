"""What the inbound flow asks of the store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from smsgate.flows.esme_mos import Taker
from smsgate.flows.inbound_records import InboundContext, InboundWrites, Joined
from smsgate.flows.records import MobileOriginated


class Arrived(Protocol):
    """What is known of MOs before they are read."""

    @property
    def fresh(self) -> AbstractSet[int]:
        """The places of those that are no redelivery."""
        ...

    @property
    def takers(self) -> dict[str, Taker]:
        """Which accounts of ESMEs take the MOs of these numbers."""
        ...


class InboundGroup(Protocol):
    """One transaction for a group of MOs."""

    async def arrive(
        self, mos: Sequence[MobileOriginated], fingerprints: Sequence[bytes], process: str
    ) -> Arrived:
        """
        Note the MOs as seen, and read whom they are from; `process` is this node's epoch.

        It is another one after a commit whose end was not seen: what was noted then may come again on a
        session that was told to bring it again.

        Without fingerprints nothing is noted, and nothing is fresh.
        """
        ...

    async def add_part(self, mo: MobileOriginated) -> list[Joined]:
        """Keep a part of a long MO; return the texts that are ready now, oldest first."""
        ...

    async def take_parts(self, carrier_id: int, newest_before: datetime, skip: int) -> Joined | None:
        """Take one long MO: its parts are all there, or none has come since `newest_before`."""
        ...

    async def context(
        self,
        mos: Sequence[MobileOriginated],
        order_numbers: Sequence[tuple[int, str]],
        mentioning: Sequence[int],
        since: datetime,
        *,
        of_anybody: Sequence[MobileOriginated] = (),
        users: Mapping[str, Collection[str] | None] | None = None,
    ) -> InboundContext:
        """
        Read and lock what these MOs may concern.

        `of_anybody` are those that are answered to strangers, too: of them also who writes from the number
        that was answered, which the merchants of these slugs may use (`users`; None: everybody).

        (msisdn, number) are orders that their texts may name; who is `mentioning` an order may mean any of
        theirs since then.
        """
        ...

    async def write(self, writes: InboundWrites) -> None:
        """
        Write everything that was decided.

        Texts of `writes.claim` are this process's from the commit on. Afterwards it names those that are:
        what a merchant with a budget says waits in the queue.
        """
        ...


class InboundStore(Protocol):
    def group(self) -> AbstractAsyncContextManager[InboundGroup]: ...

    async def carriers_of_parts(self) -> list[int]:
        """Return the carriers that parts of long MOs came by; some may have been taken out since."""
        ...
