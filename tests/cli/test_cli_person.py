"""`smsgate person`: a person's data handed out and erased, numbers that nobody may write to."""

from __future__ import annotations

import asyncio
import json
import stat

import pytest

from smsgate.clock import SystemClock
from smsgate.daemon.billing_reports import USAGE_FILES
from smsgate.daemon.services import open_services
from smsgate.flows.commerce_records import PageAsk
from smsgate.flows.ports_api import ConsentDraft, SubscriberDraft
from smsgate.store.merchants import PgMerchants
from smsgate.store.subscribers import PgSubscribers
from tests.cli.command_shell import Shell

NUMBER = "+33639980001"


@pytest.fixture(scope="module")
def shop(shell: Shell) -> Shell:
    shell.ok("merchant", "add", "boxman", "--name", "Boxman", "--country", "FR", "--contact", "bxm.fr")
    return shell


async def know(shell: Shell, number: str) -> int:
    """Have the merchant know somebody, as an import does; return the merchant's id."""
    async with open_services(shell.state_dir, None, SystemClock(), print) as services:
        row = await PgMerchants(services.database).by_slug("boxman")
        assert row is not None
        draft = SubscriberDraft(services.ids.next(), int(number), None, "fr", "FR", (), {"name": "Anne"})
        await PgSubscribers(services.database, services.suppression).add(
            row.merchant_id, draft, services.clock.now()
        )
        return row.merchant_id


def test_a_person_is_handed_out_erased_and_kept_out(shop: Shell) -> None:
    asyncio.run(know(shop, NUMBER))
    done = shop.ok("person", "access", "boxman", NUMBER, "--to", "anne.json")
    assert done.err == "1 records written to anne.json.\n"
    file = json.loads((shop.cwd / "anne.json").read_text())
    assert file["subscriber"][0]["fields"] == {"name": "Anne"}
    assert stat.S_IMODE((shop.cwd / "anne.json").stat().st_mode) == 0o600
    again = shop.run("person", "access", "boxman", NUMBER, "--to", "anne.json")
    assert (again.code, again.err) == (2, "smsgate: --to: anne.json is there already.\n")

    assert shop.run("person", "erase", "boxman", NUMBER).code == 2  # not without --yes
    assert shop.ok("person", "suppressed", "boxman", NUMBER, "--json").json()["suppressed"] is False
    erased = shop.ok("person", "erase", "boxman", NUMBER, "--yes", "--json").json()
    assert (erased["kind"], erased["records"]) == ("erasure", 1)
    gone = shop.run("person", "erase", "boxman", NUMBER, "--yes")
    assert (gone.code, gone.err) == (1, f"smsgate: Boxman has nothing of the number {NUMBER}.\n")
    asked = shop.ok("person", "suppressed", "boxman", NUMBER, "--json").json()
    assert (asked["suppressed"], asked["reason"]) == (True, "erased")
    listed = shop.ok("person", "requests", "boxman", "--json").json()
    assert [each["kind"] for each in listed[:2]] == ["erasure", "access"]  # newest first
    assert "erasure" in shop.ok("person", "requests", "boxman").out


def test_an_erasure_takes_the_files_along_that_tell_the_number(shop: Shell) -> None:
    number = "+33639980003"
    merchant_id = asyncio.run(know(shop, number))
    directory = shop.state_dir / USAGE_FILES
    directory.mkdir(exist_ok=True)
    mine, others = directory / f"{merchant_id}-2026-10-EUR.json", directory / "1-2026-10-EUR.json"
    mine.write_text("{}")
    others.write_text("{}")
    shop.ok("person", "erase", "boxman", number, "--yes")
    assert (mine.exists(), others.exists()) == (False, True)
    others.unlink()


def test_a_blocked_number_is_blocked_for_whoever_has_it(shop: Shell) -> None:
    number = "+33639980002"
    asyncio.run(know(shop, number))
    done = shop.ok("person", "block", number, "--reason", "complaint")
    assert done.err == f"{number} is blocked for every merchant; 1 had it.\n"
    told = shop.ok("person", "suppressed", "boxman", number).err
    assert told.startswith(f"boxman may not write to {number}: complaint, since 20")
    why = ("--by", "Anne", "--reason", "a joke")
    done = shop.ok("person", "unblock", number, "--merchant", "boxman", *why)
    assert done.err == f"{number} is not blocked any more for boxman; 1 had it.\n"
    assert shop.ok("person", "suppressed", "boxman", number).err.startswith("Nothing keeps boxman from")
    done = shop.ok("person", "unblock", number, *why)
    assert done.err == f"{number} is not blocked any more for any merchant; 0 had it.\n"
    assert "not blocked" in shop.run("person", "unblock", number, *why).err


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("block", "12", "--reason", "complaint"), 2, "NUMBER: "),
        (("block", NUMBER, "--reason", "mood"), 2, "--reason: mood is none of wrong_person, death, child"),
        (("unblock", NUMBER, "--by", " ", "--reason", "x"), 2, "--by: between 1 and 60 characters"),
        (("suppressed", "nobody", NUMBER), 1, "No merchant has the slug 'nobody'"),
    ],
)
def test_what_cannot_be_meant_is_told(
    shop: Shell, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    done = shop.run("person", *arguments)
    assert done.code == code
    assert sentence in done.err


async def agree(shell: Shell, number: str) -> None:
    """Have the person agree to offers on a form, and take it back."""
    async with open_services(shell.state_dir, None, SystemClock(), print) as services:
        row = await PgMerchants(services.database).by_slug("boxman")
        assert row is not None
        people = PgSubscribers(services.database, services.suppression)
        page = await people.list(row.merchant_id, PageAsk(1), msisdn=int(number[1:]), tag=None, state=None)
        for granted in (True, False):
            now = services.clock.now()
            draft = ConsentDraft(
                services.ids.next(), page.rows[0].subscriber_id, "offers", granted, "w1", "form",
                {"who": "till 3"}, now, services.ids.next(), "sub_x", {},
            )  # fmt: skip
            await people.consent(row.merchant_id, draft, now)


def test_the_proof_of_a_consent_is_verified_without_a_database(
    shop: Shell,
) -> None:
    number = "+33639980077"
    asyncio.run(know(shop, number))
    asyncio.run(agree(shop, number))
    proof = shop.ok("person", "proof", "boxman", number).out
    key = shop.ok("order", "key").out.strip()
    (shop.cwd / "anne.proof").write_text(proof)
    done = shop.ok("order", "verify", "anne.proof", "--key", key)
    assert done.out == "All 3 entries hold, signed by the key that you gave.\n"
    (shop.cwd / "anne.proof").write_text(proof.replace('"w1"', '"w2"', 1))
    done = shop.run("order", "verify", "anne.proof", "--key", key)
    assert (done.code, done.out) == (1, "")
    assert "Entry 1 of anne.proof does not hold: it was changed" in done.err
