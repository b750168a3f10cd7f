"""`smsgate offer`: versions shown and published, stock changed, offers withdrawn."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from smsgate.clock import SystemClock
from smsgate.daemon.services import open_services
from smsgate.flows.offer_records import OfferDraft
from smsgate.flows.offers import Offers
from smsgate.flows.ports_commerce import SenderInfo
from smsgate.security.public_ids import Kind
from smsgate.store.merchants import PgMerchants
from smsgate.store.offers import PgOffers
from tests.cli.command_shell import Shell

SENDER = "36111"
TEXT = (
    "Boxman: CD Madonna 19,90€ port compris. Répondez OK = commande avec obligation de paiement. "
    "Rétractation 14 j. Infos bxm.fr/m1 STOP 36111"
)
CARRIER = """
[[carriers]]
name = "sim"
hosts = ["127.0.0.1:2775"]
system_id = "smsgate"
password = "secret"
senders = [{ number = "36111", receives = true }]
"""


async def an_offer(shell: Shell) -> str:
    async with open_services(shell.state_dir, None, SystemClock(), print) as services:
        merchant = await PgMerchants(services.database).by_slug("boxman")
        assert merchant is not None
        senders = {SENDER: SenderInfo("sim", receives=True)}
        offers = Offers(PgOffers(services.database), services.ids, services.clock, senders)
        ends = services.clock.now() + timedelta(hours=10)
        draft = OfferDraft(TEXT, "CD Madonna", 1990, SENDER, ends, stock=10)
        made = await offers.create(merchant.merchant_id, draft)
        return services.public_ids.encode(Kind.OFFER, made.offer.offer_id)


@pytest.fixture(scope="module")
def offer(shell: Shell) -> str:
    shell.ok("merchant", "add", "boxman", "--name", "Boxman", "--country", "FR", "--contact", "bxm.fr")
    return asyncio.run(an_offer(shell))


def test_an_offer_gets_stock_and_a_version_and_is_withdrawn(shell: Shell, offer: str) -> None:
    (shell.cwd / "smsgate.toml").write_text(CARRIER)
    config = ("--config", "smsgate.toml")
    assert shell.ok("offer", "stock", offer, "12", *config).err == "12 of 12 pieces are left.\n"
    cheaper = TEXT.replace("19,90€", "14,90€")
    done = shell.ok("offer", "version", offer, "--price", "14.90", "--text", cheaper, *config)
    assert done.err == "Version 2 is published.\n"
    versions = shell.ok("offer", "show", offer, "--json", *config).json()
    assert [(row["version"], row["price"], row["stock"]) for row in versions] == [
        (2, "14.90", 12),
        (1, "19.90", 12),
    ]
    same = shell.run("offer", "version", offer, *config)
    assert (same.code, same.err) == (1, "smsgate: Nothing of the offer changes.\n")
    assert shell.run("offer", "withdraw", offer, *config).code == 2  # not without --yes
    assert shell.ok("offer", "withdraw", offer, "--yes", "--json", *config).json()["state"] == "withdrawn"
    assert "withdrawn" in shell.ok("offer", "show", offer, *config).out
    late = shell.run("offer", "stock", offer, "20", *config)
    assert (late.code, late.err) == (1, "smsgate: An offer that is withdrawn does not take restock.\n")


def test_an_offer_that_is_nobodys_is_told(shell: Shell) -> None:
    done = shell.run("offer", "show", "ofr_senseless")
    assert (done.code, done.out) == (1, "")
