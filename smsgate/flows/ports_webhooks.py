"""What webhook delivery and its store hand to each other."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from smsgate.flows.commerce_records import EventRecord
from smsgate.flows.ports import Secrets


@dataclass(frozen=True, slots=True)
class DueEndpoint:
    """An active endpoint with something to deliver now."""

    merchant_id: int
    endpoint_id: int
    url: str
    secret: bytes = field(repr=False)  # sealed
    previous_secret: bytes | None = field(repr=False)
    previous_until: datetime | None


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """One event for one endpoint, taken by this node; `attempts` were made before."""

    merchant_id: int
    endpoint_id: int
    attempts: int
    event: EventRecord = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """What became of a claim; `state` pending means: again at `next_attempt_at`."""

    merchant_id: int
    event_id: int
    endpoint_id: int
    state: str  # pending, delivered, failed
    attempts: int
    next_attempt_at: datetime
    last_status: int | None
    last_error: str
    delivered_at: datetime | None


@dataclass(slots=True)
class EndpointAnswers:
    """What some attempts have shown of an endpoint; those that broke on our side do not count."""

    merchant_id: int
    endpoint_id: int
    failures: int = 0
    took: bool = False
    took_order: bool = False  # an event that hands over an order


class DataKeys(Secrets, Protocol):
    """Sealing, for callers that may wait for a key to be read."""

    async def ensure(self, merchant_id: int, sealed: Sequence[bytes] = ()) -> None:
        """Have a key that seals for this merchant, made if there is none, and those that `sealed` need."""
        ...


class DeliveriesStore(Protocol):
    """Statements of webhook delivery; `owner` is the node's epoch."""

    async def due(self, now: datetime, limit: int) -> Sequence[DueEndpoint]:
        """Return the endpoints that have waited longest, at most `limit`."""
        ...

    async def claim(
        self, merchant_id: int, endpoint_id: int, *, owner: int, limit: int, now: datetime
    ) -> Sequence[ClaimedDelivery]:
        """Take deliveries that are due; of one subject the oldest pending event alone."""
        ...

    async def settle(
        self,
        results: Sequence[DeliveryResult],
        answers: Sequence[EndpointAnswers],
        *,
        owner: int,
        at: datetime,
    ) -> None:
        """Write results, and what they show; one whose claim was lost to another node changes no delivery."""
        ...

    async def disable(self, merchant_id: int, endpoint_id: int, reason: str) -> None: ...

    async def release(self, claims: Sequence[ClaimedDelivery], *, owner: int) -> None:
        """Give claims back as they were."""
        ...

    async def release_forgotten(self, held: Collection[ClaimedDelivery], *, owner: int) -> int:
        """Give back what is the owner's and not among `held`; return how many these were."""
        ...

    async def release_orphans(self) -> int:
        """Give back what nodes hold whose lease has ended; return how many."""
        ...

    async def backlog(self, now: datetime) -> tuple[int, float]:
        """Return how many deliveries are due, and for how many seconds the oldest is."""
        ...
