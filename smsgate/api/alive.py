"""Signs of life of what may run for hours: who died gives none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from smsgate.errors import StoreUnavailable

INTERVAL_S: Final = 30.0
SILENCE_MAX_S: Final = 120  # then it counts as dead; store/sql/imports.sql says the same of imports


@asynccontextmanager
async def signs_of_life(give: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Give a sign now and then until leaving; one that the database does not take is left out."""

    async def give_them() -> None:
        while True:
            await asyncio.sleep(INTERVAL_S)
            with suppress(StoreUnavailable):
                await give()

    giving = asyncio.create_task(give_them(), name="signs-of-life")
    try:
        yield
    finally:
        giving.cancel()
        await asyncio.gather(giving, return_exceptions=True)
