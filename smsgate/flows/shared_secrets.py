"""Secrets that a merchant's shop and we share, each in a row of ours: sealed, opened, and rotated."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal

from smsgate.clock import Clock
from smsgate.errors import Conflict
from smsgate.flows.ports_commerce import RotatingRows
from smsgate.flows.ports_webhooks import DataKeys
from smsgate.security.webhook_signatures import new_secret

ROTATION: Final = timedelta(
    hours=24
)  # both secrets hold for so long, so that nothing is lost over a rotation

Column = Literal["secret", "previous_secret"]


class SharedSecrets:
    """Those of one table, whose name is sealed in with them."""

    def __init__(self, keys: DataKeys, table: str, clock: Clock) -> None:
        self._keys = keys
        self._table = table
        self._clock = clock

    async def first(self, merchant_id: int, row_id: int, secret: str) -> bytes:
        """Return a new row's secret, sealed."""
        await self._keys.ensure(merchant_id)
        return self._seal(merchant_id, row_id, "secret", secret)

    async def read(
        self, merchant_id: int, row_id: int, sealed: bytes, previous: bytes | None
    ) -> tuple[str, str | None]:
        """Open a row's secret, and the one before it."""
        await self._keys.ensure(merchant_id, [sealed, *([previous] if previous else [])])
        return (
            self._open(merchant_id, row_id, "secret", sealed),
            self._open(merchant_id, row_id, "previous_secret", previous) if previous else None,
        )

    async def rotate(
        self, rows: RotatingRows, merchant_id: int, row_id: int, sealed: bytes
    ) -> tuple[str, datetime]:
        """
        Put a new secret in the place of `sealed`; return it, and until when the old one holds too.

        Raises:
            Conflict: somebody else rotated it meanwhile.
        """
        old, _ = await self.read(merchant_id, row_id, sealed, None)
        secret, until = new_secret(), self._clock.now() + ROTATION
        rotated = await rows.rotate(
            merchant_id,
            row_id,
            before=sealed,
            secret=self._seal(merchant_id, row_id, "secret", secret),
            previous_secret=self._seal(merchant_id, row_id, "previous_secret", old),
            previous_until=until,
        )
        if not rotated:
            raise Conflict("the secret was rotated by another request just now")
        return secret, until

    def _seal(self, merchant_id: int, row_id: int, column: Column, secret: str) -> bytes:
        return self._keys.seal(
            secret.encode(), table=self._table, merchant_id=merchant_id, row_id=row_id, column=column
        )

    def _open(self, merchant_id: int, row_id: int, column: Column, sealed: bytes) -> str:
        return self._keys.open(
            sealed, table=self._table, merchant_id=merchant_id, row_id=row_id, column=column
        ).decode()
