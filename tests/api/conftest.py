from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from smsgate.store.pool import Database
from tests.api.api_server import Api, a_context, running
from tests.api.commerce_setup import Prover, Shop, add_commerce, an_open_shop


@pytest.fixture
async def api(database: Database) -> AsyncIterator[Api]:
    """Run the API on a database of the test's own."""
    context = a_context(database, requests_per_s=10_000)
    await add_commerce(context, database, Prover())
    async with running(context) as opened:
        yield opened


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    """Run the API with the commerce use cases and one shop whose prices are known."""
    async with an_open_shop(database) as opened:
        yield opened
