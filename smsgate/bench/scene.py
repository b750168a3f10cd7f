"""
What a benchmark sends, and to whom: merchants, prices by network, subscribers, offers and their campaigns.

Rows are those that imports and the API write. Numbers are spread over the numbering plan, so subscribers who
follow each other in a chunk are far from each other in every index by number.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from smsgate.campaigns.hours import Place, hours
from smsgate.flows.audience import Audience
from smsgate.flows.commerce_records import CampaignRecord
from smsgate.store.bench_books import People, let_go, write_merchants, write_offer
from smsgate.store.campaigns import PgCampaigns
from smsgate.store.pool import Database

SYSTEM_ID: Final = "smsgate"
PASSWORD: Final = "secret"  # noqa: S105  # the public default of a simulator
SENDER: Final = "36111"
COST_LIST: Final = "sim-cost"
MERCHANT: Final = 7
CAMPAIGN: Final = 1_001
_OFFER: Final = 2_001
_VERSION: Final = 1
_LIST: Final = "music"  # the tag of who gets a campaign, where there is one campaign alone
WARM_UP: Final = CAMPAIGN - 1
_WARM_UP_LIST: Final = "warm-up"
TEXT: Final = (  # 148 septets and a first name of 4 to 9
    "Boxman: {first_name}, le CD de Madonna est là, 19,90€ port compris. Répondez OK = commande avec "
    "obligation de paiement. Rétract. 14 j. bxm.fr/m1 STOP 36111"
)
NAMES: Final = (
    "Camille", "Louis", "Léa", "Jules", "Chloé", "Hugo", "Manon", "Arthur", "Inès", "Nathan", "Sarah",
    "Gabriel", "Alice", "Martin", "Zoé", "Théo",
)  # fmt: skip
# The multiplier has no factor in common with the plan's size, so every number comes once.
_FIRST_NUMBER: Final = 33_600_000_000
_NUMBERS: Final = 200_000_000  # French mobile numbers: +33 6 and the first half of +33 7
_STRIDE: Final = 61_803_399
REFUSING_OF: Final = 50  # one of so many subscribers has not agreed to offers
MESSAGES_MAX: Final = _NUMBERS // 2
# Where French people live, eight hours apart or less: on any weekday one of them may be written to.
_ZONES: Final = ("Europe/Paris", "America/Cayenne", "Pacific/Tahiti", "Pacific/Noumea", "Indian/Reunion")
_RUN: Final = timedelta(hours=2)  # the longest run in sight, or many of one written database, and some


class Shape(NamedTuple):
    """
    How many campaigns the messages are of; the campaigns are a multiple of the merchants.

    `warm_up`: another campaign of so many messages is sent before: plans, caches and connections are those of
    a process that is not new.
    """

    merchants: int = 1
    campaigns: int = 1
    warm_up: int = 0


ONE: Final = Shape()


def people_for(messages: int) -> int:
    """Return how many subscribers there must be for `messages` of them to have agreed."""
    return messages + (messages - 1) // (REFUSING_OF - 1)


def msisdn_of(nth: int) -> int:
    """Return the number of the `nth` person who has agreed, counted from 0."""
    person = nth + nth // (REFUSING_OF - 1)
    return _FIRST_NUMBER + person * _STRIDE % _NUMBERS


def is_reached(msisdn: int, share: float) -> bool:
    """
    Return whether a number is among the first `share` of all recipients, in the order of the chunks.

    Chunks are ranges of numbers, and people are spread evenly over these.
    """
    return msisdn - _FIRST_NUMBER < share * _NUMBERS


def open_place(now: datetime) -> str:
    """Return the key of a place that is open for an hour or more; "": there is none, as on Sundays."""
    verdicts = {key: hours(Place.of(key), now) for key in (f"FR@{zone}" for zone in _ZONES)}
    enough = {
        key: found.until for key, found in verdicts.items() if found.allowed and found.until - now >= _RUN
    }
    return max(enough, key=enough.__getitem__, default="")


async def prepare(database: Database, messages: int, shape: Shape = ONE) -> str:
    """
    Write everything; the campaigns are started, cut into chunks and paused, so nothing leaves yet.

    Merchants and their campaigns take turns in the order of the people, by REFUSING_OF of these at a time.

    Returns:
        Where everybody is: a place that is open now; "" when none is.
    """
    now = datetime.now(UTC)
    place = open_place(now)
    each = shape.campaigns // shape.merchants
    lists = (_LIST,) if each == 1 else tuple(f"{_LIST}-{nth}" for nth in range(each))
    meant = people_for(messages)
    everybody = meant + (people_for(shape.warm_up) if shape.warm_up else 0)
    numbers = (_FIRST_NUMBER, _STRIDE, _NUMBERS)
    people = People(everybody, *numbers, REFUSING_OF, NAMES, place, lists, meant, _WARM_UP_LIST)
    merchants = range(MERCHANT, MERCHANT + shape.merchants)
    await write_merchants(database, merchants, people, now - timedelta(days=30))
    campaigns = PgCampaigns(database)
    campaign_id = CAMPAIGN
    for merchant_id in merchants:
        await write_offer(database, merchant_id, _OFFER, TEXT, SENDER, now + timedelta(hours=8))
        for tag in lists:
            await _start(campaigns, merchant_id, campaign_id, Audience((tag,), None), now)
            campaign_id += 1
    if shape.warm_up:
        await _start(campaigns, MERCHANT, WARM_UP, Audience((_WARM_UP_LIST,), None), now)
    return place


async def _start(
    campaigns: PgCampaigns, merchant_id: int, campaign_id: int, audience: Audience, now: datetime
) -> None:
    await campaigns.create(
        CampaignRecord(
            merchant_id=merchant_id,
            campaign_id=campaign_id,
            external_id=None,
            offer_id=_OFFER,
            offer_version=_VERSION,
            state="draft",
            audience=audience,
            recipients=0,
            trigger_id=None,
            created_at=now,
        )
    )
    await campaigns.start(merchant_id, campaign_id, _VERSION, audience, now)
    await campaigns.change_state(merchant_id, campaign_id, "sending", "paused", now)


async def begin(database: Database, shape: Shape = ONE) -> None:
    """Let the campaigns go together; the gateway's next look for work finds them."""
    await let_go(database, CAMPAIGN, shape.campaigns)


async def begin_warm_up(database: Database) -> None:
    await let_go(database, WARM_UP, 1)
