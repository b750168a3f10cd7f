"""
The month before the story: a small campaign that the accountant can bill.

A month is closed after its end, so the gateway runs for some seconds by a clock that is in last month, with
the same sockets, phones and shop as in the story; what it sends, earns and costs is that month's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import aiohttp

from smsgate.billing.periods import Month, month_of
from smsgate.clock import Clock, ShiftedClock, SystemClock
from smsgate.config import Settings
from smsgate.daemon.process import Process, running
from smsgate.daemon.services import add_operator_key, while_leased
from smsgate.demo.scene import (
    API_TIMEOUT,
    ZONE,
    Api,
    close_shop,
    import_people,
    join,
    open_shop,
    phone_numbers,
    shop_emits,
)
from smsgate.demo.settings import PASSWORD, SYSTEM_ID, settings_at
from smsgate.demo.watching import Watched, watch
from smsgate.simulator.phones import Behaviour
from smsgate.simulator.serve import Simulator, SimulatorSettings
from smsgate.simulator.shop import Shop
from smsgate.simulator.smsc_settings import SmscAccount, SmscSettings

PEOPLE: Final = 40
TAG: Final = "last-month"
BEHAVIOUR: Final = Behaviour(ok=0.30, stop=0.05, decline=0.10, delay_s=(0.05, 0.3))
# Whom invoices are written to; a SIREN and a VAT number with right check digits.
BILLING_PROFILE: Final = {
    "legal_name": "Boxman SARL",
    "street": "2 rue des Disques",
    "postcode": "69001",
    "city": "Lyon",
    "country": "FR",
    "legal_id": "552100554",
    "vat_number": "FR96552100554",
    "business": True,
    "payment_days": 30,
}


@dataclass(frozen=True, slots=True)
class LastMonth:
    """What is left of it: the month, and the merchant with the keys of operator and shop."""

    month: Month
    merchant_id: str
    operator_key: str
    merchant_key: str


def noon_of_last_month(now: datetime) -> tuple[Month, datetime]:
    """Return the month before the one of `now` in the merchant's zone, and noon UTC of its fifteenth."""
    month = month_of(now, ZONE).previous()
    return month, datetime(month.year, month.month, 15, 12, tzinfo=UTC)


async def live_last_month(
    settings: Settings, seed: int, besides: Collection[int], say: Callable[[str], None]
) -> LastMonth:
    """
    Play it on the database of `settings`; `besides` are people who must not take part.

    Raises:
        DemoFailed: the gateway refused something, or the campaign did not come to rest.
    """
    now = SystemClock().now()
    month, noon = noon_of_last_month(now)
    clock = ShiftedClock(noon - now)
    msisdns = [each for each in phone_numbers(len(besides) + PEOPLE, seed + 1) if each not in besides]
    simulator = Simulator(
        SimulatorSettings(
            seed=seed,
            behaviour=BEHAVIOUR,
            smsc=SmscSettings(accounts=(SmscAccount(SYSTEM_ID, PASSWORD),), receipt_delay_s=(0.05, 0.2)),
        ),
        clock=clock,
    )
    shop = Shop(clock=clock)
    await simulator.start()
    await shop.start()
    try:
        here = settings_at(settings, simulator.smpp_port, 0)
        async with running(here, say=say, clock=clock) as process:
            say(f"Last month first: an offer to {PEOPLE} people, for the accountant to bill")
            scene = _Scene(process, simulator, shop, clock)
            return await while_leased(process.services, scene.play(month, msisdns[:PEOPLE]))
    finally:
        await shop.stop()
        await simulator.stop()


@dataclass(frozen=True, slots=True)
class _Scene:
    process: Process
    simulator: Simulator
    shop: Shop
    clock: Clock

    async def play(self, month: Month, msisdns: list[int]) -> LastMonth:
        assert self.process.api is not None
        key = await add_operator_key(self.process.services, "demo")
        async with aiohttp.ClientSession(timeout=API_TIMEOUT) as session:
            operator = Api(f"http://127.0.0.1:{self.process.api.port}", key, session)
            merchant_id, merchant = await join(operator, self.clock)
            await operator.call("PUT", f"/v1/merchants/{merchant_id}/billing_profile", BILLING_PROFILE)
            await import_people(merchant, dict.fromkeys(msisdns, TAG), self.clock)
            cast = await open_shop(operator, merchant, merchant_id, self.shop, msisdns)
            campaign = await shop_emits(cast, self.clock, TAG)
            await watch(Watched(self.process, self.simulator, cast), campaign, None)
            await close_shop(cast)
        return LastMonth(month, merchant_id, key, merchant.key)
