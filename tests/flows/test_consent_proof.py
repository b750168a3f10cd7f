"""The proof file of a consent, from what a real conversation left in the database."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from smsgate.clock import ManualClock, SystemClock
from smsgate.errors import NotFound
from smsgate.flows.consent_proof import ConsentProofs
from smsgate.flows.housekeeping import Housekeeping, Retention
from smsgate.ids import IdMaker
from smsgate.security.proof_chain import ProofKey
from smsgate.security.proof_stamps import verify
from smsgate.security.public_ids import Kind, PublicIds
from smsgate.store.consent_proof import PgConsentProofs
from smsgate.store.housekeeping import PgHousekeeping
from smsgate.store.pool import Database
from smsgate.store.privacy import PgPrivacy
from tests.flows.inbound_world import say
from tests.flows.test_consent_by_sms import HASHES, OTHER, ask
from tests.flows.world import FIRST_MSISDN, MERCHANT, SENDER, STAMPS, World, a_world, eventually

PUBLIC, KEY = PublicIds(bytes(32)), ProofKey(bytes(32))


def proofs_of(world: World) -> ConsentProofs:
    return ConsentProofs(PgConsentProofs(world.database, PUBLIC), PUBLIC, SystemClock(), KEY)


async def test_the_proof_of_a_consent_holds_how_it_was_given_and_how_it_ended(database: Database) -> None:
    async with a_world(database, subscribers=3) as world:
        async with world.gateway():
            await world.execute("UPDATE subscriber SET offers_state = 'none'")
            await ask(world, 1, "offers")
            await eventually(lambda: len(world.texts_to(1)) == 1)
            (welcome,) = await say(world, 1, "Oui merci")
            (goodbye,) = await say(world, 1, "STOP svp")
            receipts = "SELECT count(*) = 3 FROM receipt"
            await eventually(lambda: world.value(receipts))
        proofs = proofs_of(world)
        first = await world.value("SELECT min(consent_id) FROM consent_event WHERE subscriber_id = 10001")
        file = await proofs.of_consent(MERCHANT, first)
        verdict, held = verify(file, KEY.public)
        assert (verdict.wrong, verdict.reason, held.stamped) == (None, "", 0)
        by_kind: dict[str, list[Any]] = {}
        for entry in map(orjson.loads, file.splitlines()):
            by_kind.setdefault(entry["kind"], []).append(entry["body"])
        asked_for, given, ended = by_kind["consent"]
        assert [each["event"] for each in by_kind["consent"]] == ["opt_in_double", "yes", "stop"]
        assert (asked_for["wording_version"], asked_for["source"]) == ("w1", "web")
        assert {each["msisdn"] for each in by_kind["consent"]} == {f"+{FIRST_MSISDN + 1}"}
        assert {each["purpose"] for each in by_kind["consent"]} == {"offers"}
        yes, stop = by_kind["reply"]
        assert [given["inbound"], ended["inbound"]] == [yes["inbound"], stop["inbound"]]
        assert [bytes.fromhex(each["raw"]) for each in (yes, stop)] == [b"Oui merci", b"STOP svp"]
        assert yes["rules_version"]
        assert given["evidence"]["who"] == "phone"
        texts = [(each["kind"], each["body"], each["sender"]) for each in by_kind["text"]]
        assert [body for _, body, _ in texts] == ["Boxman: vraiment? OUI", welcome, goodbye]
        assert {sender for _, _, sender in texts} == {SENDER}
        assert [each["state"] for each in by_kind["receipt"]] == ["delivrd"] * 3
        assert {each["type"] for each in by_kind["event"]} == {"consent.granted", "consent.revoked"}
        changed = file.replace(b'"wording_version":"w1"', b'"wording_version":"w2"', 1)
        assert changed != file
        assert verify(changed, KEY.public)[0].wrong is not None
        for merchant_id, subscriber_id, purpose in ((OTHER, 10_001, "offers"), (MERCHANT, 10_003, "offers")):
            with pytest.raises(NotFound):
                await proofs.file(merchant_id, subscriber_id, purpose)
        with pytest.raises(NotFound):
            await proofs.of_consent(OTHER, first)
        ids = IdMaker(41, lambda: int(time.time() * 1000))
        privacy = PgPrivacy(database, HASHES, ids, STAMPS)
        await privacy.erase(MERCHANT, 10_001, ids.next(), datetime.now(UTC))
        left = await proofs.of_consent(MERCHANT, first)
        assert verify(left, KEY.public)[0].wrong is None
        assert not any(
            each in left for each in (f"{FIRST_MSISDN + 1}".encode(), b"svp", b"svp".hex().encode())
        )
        assert PUBLIC.encode(Kind.CONSENT, first).encode() in left


async def told_entries(world: World, consent_id: int) -> list[tuple[str, Any]]:
    """Return what the proof says of texts, their outcomes and events, whose rows live in partitions."""
    file = await proofs_of(world).of_consent(MERCHANT, consent_id)
    assert verify(file, KEY.public)[0].wrong is None
    kinds = ("text", "submitted", "receipt", "event")
    return [
        (entry["kind"], entry["body"])
        for entry in map(orjson.loads, file.splitlines())
        if entry["kind"] in kinds
    ]


async def test_a_consent_is_proved_for_as_long_as_it_lives_and_may_be_disputed(database: Database) -> None:
    async with a_world(database, subscribers=3) as world:
        async with world.gateway():
            await world.execute("UPDATE subscriber SET offers_state = 'none'")
            await ask(world, 1, "offers")
            await eventually(lambda: len(world.texts_to(1)) == 1)
            await say(world, 1, "Oui merci")
            await say(world, 1, "STOP svp")
            await eventually(lambda: world.value("SELECT count(*) = 3 FROM receipt"))
        first = await world.value("SELECT min(consent_id) FROM consent_event WHERE subscriber_id = 10001")
        before, now = await told_entries(world, first), datetime.now(UTC)
        assert {kind for kind, _ in before} == {"text", "submitted", "receipt", "event"}

        async def kept_house(days: int) -> None:
            keeper = PgHousekeeping(database, HASHES, PUBLIC)
            clock = ManualClock(now + timedelta(days=days))
            for _ in range(3):
                await Housekeeping(keeper, Retention(), clock).step()

        await kept_house(402)
        assert await world.value("SELECT count(*) FROM message") == 0
        assert await told_entries(world, first) == before
        await kept_house(1_099)  # the person is gone, and the number
        left = await told_entries(world, first)
        assert [kind for kind, _ in left] == [kind for kind, _ in before]
        assert f"{FIRST_MSISDN + 1}" not in str(left)
        assert await world.value("SELECT count(*) FROM kept_message WHERE msisdn <> 0") == 0
        await kept_house(1_829)  # nobody can dispute it any more
        for table in ("kept_message", "kept_sent", "kept_receipt", "kept_event"):
            assert await world.value(f"SELECT count(*) FROM {table}") == 0, table


async def test_who_is_gone_before_the_day_of_a_text_is_taken_along_without_the_number(
    database: Database,
) -> None:
    """A merchant may keep people for 30 days; texts have their partition for 400, and events for 90."""
    async with a_world(database, subscribers=3) as world:
        async with world.gateway():
            await say(world, 1, "STOP svp")
            await say(world, 2, "PAUSE")
        first = await world.value("SELECT min(consent_id) FROM consent_event WHERE subscriber_id = 10001")
        before, now = await told_entries(world, first), datetime.now(UTC)
        await world.execute("INSERT INTO retention_choice VALUES ($1, 'person', 30, now())", MERCHANT)
        for days in (32, 402):
            clock = ManualClock(now + timedelta(days=days))
            for _ in range(3):
                await Housekeeping(PgHousekeeping(database, HASHES, PUBLIC), Retention(), clock).step()
        assert await world.value("SELECT count(*) FROM person_gone") == 1
        left = await told_entries(world, first)
        assert [kind for kind, _ in left] == [kind for kind, _ in before]
        kept = await world.rows("SELECT msisdn FROM kept_message ORDER BY msisdn")
        assert [row["msisdn"] for row in kept] == [0, FIRST_MSISDN + 2]
        told = str(await world.rows("SELECT data FROM kept_event"))
        assert f"+{FIRST_MSISDN + 1}" not in told


async def test_what_was_told_with_a_consent_goes_with_an_erasure_though_it_outlived_its_day(
    database: Database,
) -> None:
    async with a_world(database, subscribers=3) as world:
        async with world.gateway():
            await say(world, 1, "STOP svp")
        later = ManualClock(datetime.now(UTC) + timedelta(days=402))
        await Housekeeping(PgHousekeeping(database, HASHES, PUBLIC), Retention(), later).step()
        assert await world.value("SELECT count(*) FROM kept_message") == 1
        ids = IdMaker(41, lambda: int(time.time() * 1000))
        privacy = PgPrivacy(database, HASHES, ids, STAMPS)
        _, file = await privacy.access(MERCHANT, 10_001, ids.next(), datetime.now(UTC))
        assert any("STOP" in str(each) or "plus de messages" in str(each) for each in [file])
        await privacy.erase(MERCHANT, 10_001, ids.next(), datetime.now(UTC))
        assert await world.value("SELECT count(*) FROM kept_message") == 0
        number = f"%{FIRST_MSISDN + 1}%"
        assert await world.value("SELECT count(*) FROM kept_event WHERE data::text LIKE $1", number) == 0
