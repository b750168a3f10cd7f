"""`smsgate person`: what a person may ask of a merchant, and numbers that nobody may write to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, get_args

import orjson
import typer

from smsgate.campaigns.consent import Purpose
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import UsageRefused, as_usage
from smsgate.cli.output import JsonOption, say, show_json, show_table
from smsgate.cli.sessions import SlugArgument, merchant_of, with_services, with_settings
from smsgate.config import Settings, load_settings
from smsgate.daemon.billing_reports import reports_of
from smsgate.daemon.services import Services
from smsgate.errors import NotFound, SmsgateError
from smsgate.flows.commerce_records import PageAsk
from smsgate.flows.consent_proof import ConsentProofs
from smsgate.flows.person_requests import PersonRequests
from smsgate.flows.ports_privacy import NOBODY, BlockReason, DataRequestRow, Lift, OfNumber, Suppressed
from smsgate.flows.stops import RecentStops
from smsgate.msisdn import normalize
from smsgate.security.proof_chain import ProofKey
from smsgate.security.public_ids import Kind
from smsgate.store.consent_proof import PgConsentProofs
from smsgate.store.privacy import PgPrivacy
from smsgate.store.subscribers import PgSubscribers

app: Final = typer.Typer(
    help="A person's data: hand out, erase; numbers that nobody may write to.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

NumberArgument = Annotated[str, typer.Argument(metavar="NUMBER", help="In international form: +33639980001")]


@app.command(
    "access",
    help="Write every record that a merchant has of a person to one JSON file.",
    epilog=examples("smsgate person access boxman +33639980001 --to anne.json"),
)
def access(
    slug: SlugArgument,
    number: NumberArgument,
    to: Annotated[Path, typer.Option("--to", help="A file that is not there yet.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    msisdn = _msisdn(number)
    settings = load_settings(config)

    async def work(services: Services) -> tuple[dict[str, object], object]:
        merchant_id = (await merchant_of(services, slug)).merchant_id
        with _nothing_of(slug, msisdn):
            made = await _person_requests(settings, services).access(merchant_id, OfNumber(msisdn))
        return _as_dict(services, made[0]), made[1]

    if to.exists():
        raise UsageRefused(f"--to: {to} is there already")
    request, file = with_settings(settings, work)
    try:
        with to.open("xb") as opened:
            to.chmod(0o600)  # it holds what nobody else is to read
            opened.write(orjson.dumps(file, option=orjson.OPT_INDENT_2))
    except OSError as exc:
        raise SmsgateError(f"{to} cannot be written: {exc.strerror}") from exc
    if as_json:
        show_json(request)
    else:
        say(f"{request['records']} records written to {to}.")


@app.command(
    "proof",
    help="Write the proof file of a person's consent: what was agreed, in which words, when, from where and "
    "by whom, the replies as they came, what the person was told, and each revocation.\n\nEach line holds "
    "the SHA-256 of the one before; the last one is signed. `smsgate order verify` verifies it.",
    epilog=examples("smsgate person proof boxman +33639980001 --purpose offers > anne.proof"),
)
def proof(
    slug: SlugArgument,
    number: NumberArgument,
    purpose: Annotated[Purpose, typer.Option(help="What was agreed to.")] = Purpose.OFFERS,
    config: ConfigOption = None,
) -> None:
    msisdn = _msisdn(number)

    async def work(services: Services) -> bytes:
        merchant_id, subscriber_id = await _person(services, slug, msisdn)
        store = PgConsentProofs(services.database, services.public_ids)
        key = ProofKey(services.proof_key)
        proofs = ConsentProofs(store, services.public_ids, services.clock, key)
        return await proofs.file(merchant_id, subscriber_id, purpose.value)

    sys.stdout.buffer.write(with_services(config, work))


@app.command(
    "erase",
    help="Remove a person from a merchant's records.\n\nOrders stay under a pseudonym; a keyed hash keeps "
    "the number out of later imports. It cannot be taken back.",
    epilog=examples("smsgate person erase boxman +33639980001 --yes"),
)
def erase(
    slug: SlugArgument,
    number: NumberArgument,
    yes: Annotated[bool, typer.Option("--yes", help="You know that it cannot be taken back.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    msisdn = _msisdn(number)
    if not yes:
        raise UsageRefused("--yes: an erasure cannot be taken back; say that you know it")

    settings = load_settings(config)

    async def work(services: Services) -> dict[str, object]:
        merchant_id = (await merchant_of(services, slug)).merchant_id
        with _nothing_of(slug, msisdn):
            row = await _person_requests(settings, services).erase(merchant_id, OfNumber(msisdn))
        return _as_dict(services, row)

    request = with_settings(settings, work)
    if as_json:
        show_json(request)
    else:
        say(f"{request['records']} records of {slug} erased; the number stays out.")
        if request["state"] != "done":
            say("What was being written of the person meanwhile is removed by a gateway that runs.")


@app.command(
    "block",
    help="Let no merchant write to a number any more.\n\nFor complaints, wrong numbers, carriers' lists.",
    epilog=examples("smsgate person block +33639980001 --reason complaint"),
)
def block(
    number: NumberArgument,
    reason: Annotated[str, typer.Option(help=f"One of {', '.join(get_args(BlockReason))}.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    msisdn = _msisdn(number)
    if reason not in get_args(BlockReason):
        raise UsageRefused(f"--reason: {reason[:20]} is none of {', '.join(get_args(BlockReason))}")

    settings = load_settings(config)

    async def work(services: Services) -> int:
        return len(await _person_requests(settings, services).block(msisdn, reason))

    merchants = with_settings(settings, work)
    if as_json:
        show_json({"msisdn": f"+{msisdn}", "reason": reason, "merchants": merchants})
    else:
        say(f"+{msisdn} is blocked for every merchant; {merchants} had it.")


@app.command(
    "unblock",
    help="Take a block back, for every merchant or for one.\n\nThe person is unsubscribed then: START, or a "
    "newer consent, begins again. Who and why is kept.",
    epilog=examples(
        "smsgate person unblock +33639980001 --by Anne --reason 'a joke, she called'",
        "smsgate person unblock +33639980001 --merchant boxman --by Anne --reason 'a joke'",
    ),
)
def unblock(
    number: NumberArgument,
    by: Annotated[str, typer.Option(help="Who decided.")],
    reason: Annotated[str, typer.Option(help="Why; kept for good.")],
    merchant: Annotated[str | None, typer.Option(metavar="SLUG", help="For this merchant alone.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    msisdn = _msisdn(number)
    for option, text, limit in (("--by", by, 60), ("--reason", reason, 500)):
        if not 1 <= len(text.strip()) <= limit:
            raise UsageRefused(f"{option}: between 1 and {limit} characters")

    async def work(services: Services) -> int:
        merchant_id = None if merchant is None else (await merchant_of(services, merchant)).merchant_id
        decided = Lift(by.strip(), reason.strip())
        return len(await _privacy(services).unblock(msisdn, merchant_id, decided, services.clock.now()))

    merchants = with_services(config, work)
    if as_json:
        show_json({"msisdn": f"+{msisdn}", "blocked": False, "merchants": merchants})
    else:
        say(f"+{msisdn} is not blocked any more for {merchant or 'any merchant'}; {merchants} had it.")


@app.command(
    "suppressed",
    help="Say whether a merchant may write to a number.",
    epilog=examples(
        "smsgate person suppressed boxman +33639980001",
        "smsgate person suppressed boxman +33639980001 --json",
    ),
)
def suppressed(
    slug: SlugArgument, number: NumberArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    msisdn = _msisdn(number)

    async def work(services: Services) -> Suppressed | None:
        merchant_id = (await merchant_of(services, slug)).merchant_id
        return (await _privacy(services).suppressed(merchant_id, [msisdn])).get(msisdn)

    found = with_services(config, work)
    if as_json:
        reason, since = (None, None) if found is None else (found.reason, found.since.isoformat())
        show_json({"suppressed": found is not None, "reason": reason, "since": since})
    elif found is None:
        say(f"Nothing keeps {slug} from +{msisdn} but consent.")
    else:
        say(f"{slug} may not write to +{msisdn}: {found.reason}, since {found.since:%Y-%m-%d}.")


@app.command(
    "requests",
    help="List what persons asked of a merchant, the newest first.",
    epilog=examples("smsgate person requests boxman", "smsgate person requests boxman --json"),
)
def requests(
    slug: SlugArgument,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    async def work(services: Services) -> list[dict[str, object]]:
        merchant_id = (await merchant_of(services, slug)).merchant_id
        page = await _privacy(services).requests(merchant_id, PageAsk(limit))
        return [_as_dict(services, row) for row in page.rows]

    found = with_services(config, work)
    if as_json:
        show_json(found)
        return
    columns = ("created_at", "kind", "subscriber", "records", "state")
    show_table(columns, [[str(row[column] or "-") for column in columns] for row in found])


def _privacy(services: Services) -> PgPrivacy:
    return PgPrivacy(services.database, services.suppression, services.ids, services.order_stamps)


def _person_requests(settings: Settings, services: Services) -> PersonRequests:
    files = reports_of(settings, services).usage_files
    return PersonRequests(_privacy(services), files, RecentStops(), services.ids, services.clock)


async def _person(services: Services, slug: str, msisdn: int) -> tuple[int, int]:
    """
    Return the ids of merchant and subscriber.

    Raises:
        NotFound: no such merchant, or it does not have the number.
    """
    merchant_id = (await merchant_of(services, slug)).merchant_id
    people = PgSubscribers(services.database, services.suppression)
    page = await people.list(merchant_id, PageAsk(1), msisdn=msisdn, tag=None, state=None)
    if not page.rows:
        raise NotFound(f"{slug} has no subscriber with the number +{msisdn}")
    return merchant_id, page.rows[0].subscriber_id


@contextmanager
def _nothing_of(slug: str, msisdn: int) -> Iterator[None]:
    try:
        yield
    except NotFound as exc:
        raise NotFound(f"{slug} has nothing of the number +{msisdn}") from exc


def _msisdn(text: str) -> int:
    with as_usage("NUMBER"):
        return int(normalize(text))


def _as_dict(services: Services, row: DataRequestRow) -> dict[str, object]:
    return {
        "id": services.public_ids.encode(Kind.DATA_REQUEST, row.request_id),
        "kind": row.kind,
        "subscriber": None
        if row.subscriber_id == NOBODY
        else services.public_ids.encode(Kind.SUBSCRIBER, row.subscriber_id),
        "records": row.records,
        "created_at": row.created_at.isoformat(),
        "state": row.state,
    }
