"""All is done once with the log at its most talkative: no password, no text and no person stands in it."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
import structlog

from smsgate.protocol.commands import Status
from smsgate.telemetry.logs import configure_logs
from tests.acceptance.esmes import COMPANY_NUMBER, PHONE, a_submit, an_esme_town, statuses
from tests.acceptance.test_companies_limits import bind_status
from tests.acceptance.town import OFFER_TEXT, SENDER, Ground, eventually

PUSHED = {"kind": "si", "href": "https://boxman.example/parcels/4711", "text": "Colis quatre mille"}
TRANSACTIONAL = "Boxman: votre rendez-vous de mardi est confirme"
SUBMITTED = b"Rendez-vous de la compagnie"
REPLY = "Bonjour, je voudrais savoir si le disque est neuf"
GUESSED = "gu3ssed-pw"


@pytest.fixture
def sink() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    configure_logs("debug", "json", stream)
    structlog.configure(**{**structlog.get_config(), "cache_logger_on_first_use": False})
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


async def test_no_secret_no_text_and_no_number_is_logged_at_any_level(
    ground: Ground, sink: io.StringIO
) -> None:
    async with an_esme_town(ground, subscribers=3) as company:
        town = company.town
        await town.finished(await town.new_record())
        buyer, leaver, asker = town.msisdns
        for msisdn, text in ((buyer, "OK"), (leaver, "STOP"), (asker, REPLY)):
            await town.answer(msisdn, text)
        await town.confirmed_order()
        for content in ({"text": TRANSACTIONAL}, {"wap_push": PUSHED}):
            await town.merchant.post("/v1/messages", {"to": f"+{buyer}", "sender": SENDER, **content})
        assert await bind_status(company, {**company.account, "password": GUESSED}) == Status.INVPASWD
        assert await statuses(await company.raw(), a_submit(1, short_message=SUBMITTED)) == [Status.OK]
        town.simulator.smsc.send_mo(PHONE, COMPANY_NUMBER, REPLY, "smsgate")
        await eventually(company.nothing_waits)
        await eventually(lambda: len(company.written()) >= 8)
        secrets = [
            *(
                town.operator.key,
                town.merchant.key,
                town.trigger_secret,
                company.account["password"],
                GUESSED,
            ),
            *('"secret"', *(profile.password.get_secret_value() for profile in town.settings.carriers)),
        ]
    told = sink.getvalue()
    events = {json.loads(line)["event"] for line in told.splitlines()}
    assert events >= {"http_request", "bind_state", "esme_submits", "started", "stopped"}
    said = [
        OFFER_TEXT[:30],
        REPLY[:30],
        TRANSACTIONAL[:30],
        SUBMITTED.decode(),
        PUSHED["text"],
        PUSHED["href"],
    ]
    people = [str(number) for number in (buyer, leaver, asker, PHONE)]
    assert [each for each in (*secrets, *said, *people) if each in told] == []
    assert re.findall(r"sgk_(?:live|test)_\w+|whsec_\w+", told) == []
