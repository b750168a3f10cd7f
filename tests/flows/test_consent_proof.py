"""The proof file of a consent, from what a real conversation left in the database."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from smsgate.clock import SystemClock
from smsgate.errors import NotFound
from smsgate.flows.consent_proof import ConsentProofs
from smsgate.ids import IdMaker
from smsgate.security.proof_chain import ProofKey
from smsgate.security.proof_stamps import verify
from smsgate.security.public_ids import Kind, PublicIds
from smsgate.store.consent_proof import PgConsentProofs
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
