"""What a group of MOs has brought: what of it is new, who takes it, and whom its numbers are of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, NamedTuple

from smsgate.flows.esme_mos import Taker
from smsgate.flows.records import MobileOriginated
from smsgate.msisdn import is_simulated
from smsgate.store.array_octets import ids_text
from smsgate.store.catalogue import load
from smsgate.store.connection import Connection
from smsgate.store.together import Read, Together

_SQL: Final = load("inbound")
_ESMES: Final = load("esme_traffic")
_PORTABILITY: Final = load("portability")

# The carrier sends a deliver_sm again until it is answered: over a new connection, or after our restart.
SEEN_WINDOW: Final = timedelta(minutes=10)
# On the very session that took our answer the same text is a person's again, but for a handset that repeats
# what its network did not acknowledge. Source: docs/decisions/0009.
SEEN_WINDOW_SESSION: Final = timedelta(seconds=60)


class KnownPerson(NamedTuple):
    """As nobody holds it: the state is read under the lock."""

    merchant_id: int
    subscriber_id: int
    msisdn: int
    language: str


@dataclass(slots=True)
class Arrivals:
    fresh: set[int] = field(default_factory=set)  # places of the MOs that were not seen before
    takers: dict[str, Taker] = field(default_factory=dict)  # by destination
    msisdns: frozenset[int] = frozenset()  # the numbers that all of the following is about
    people: list[KnownPerson] = field(default_factory=list)
    ported: dict[int, str] = field(default_factory=dict)


async def arrivals(
    connection: Connection, mos: Sequence[MobileOriginated], fingerprints: Sequence[bytes], process: str
) -> Arrivals:
    """
    Note the MOs as seen and read whom they are from, as one statement; nothing but the first is locked.

    Without fingerprints none is noted, and none is fresh. Where one came again, who took it first may just
    have committed what it said: whom they are from is read again.
    """
    places: dict[tuple[int, bytes], int] = {}
    for place, (mo, fingerprint) in enumerate(zip(mos, fingerprints, strict=False)):
        places.setdefault((mo.carrier_id, fingerprint), place)
    msisdns = frozenset(mo.msisdn for mo in mos)
    reads = Together()
    seen = reads.read(
        _SQL["first_seen"],
        ("carrier_id", "fingerprint"),
        [carrier_id for carrier_id, _ in places],
        [fingerprint for _, fingerprint in places],
        [_session(mos[place], process) for place in places.values()],
        [mos[place].received_at for place in places.values()],
        SEEN_WINDOW_SESSION,
        SEEN_WINDOW,
    )
    # A simulated phone's text is nobody's but its test merchant's, also where an ESME has the number.
    numbers = sorted({mo.destination for mo in mos if not is_simulated(mo.msisdn)})
    takers = reads.read(_ESMES["takers"], ("number", "merchant_id", "account_id", "join_mo"), numbers)
    people, ported = _people(reads, msisdns)
    await reads.run(connection)
    if len(seen.rows) < len(places):
        again = Together()
        people, ported = _people(again, msisdns)
        await again.run(connection)
    return Arrivals(
        {places[carrier_id, fingerprint] for carrier_id, fingerprint in seen.rows},
        {number: Taker(*rest) for number, *rest in takers.rows},
        msisdns,
        [KnownPerson(*row) for row in people.rows],
        dict(ported.rows),
    )


def _people(reads: Together, msisdns: Collection[int]) -> tuple[Read, Read]:
    return (
        reads.read(_SQL["people"], KnownPerson._fields, list(msisdns)),
        reads.read(_PORTABILITY["ported_of"], ("msisdn", "mccmnc"), ids_text(list(msisdns))),
    )


def _session(mo: MobileOriginated, process: str) -> str:
    return "" if mo.ack is None else f"{process}:{mo.ack.session}"
