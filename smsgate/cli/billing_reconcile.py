"""`smsgate billing reconcile`: a carrier's bill against what we counted, and a pack to dispute it with."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Final

import typer

from smsgate.api.routes_reconciliations import as_reconciliation
from smsgate.billing.periods import Month
from smsgate.billing.reconciliation import Verdict
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit, UsageRefused, as_usage
from smsgate.cli.files import FILE_MODE, unreadable
from smsgate.cli.output import JsonOption, say, show, show_json, show_table
from smsgate.cli.sessions import with_settings
from smsgate.config import Settings, load_settings
from smsgate.config.carrier_files import CarrierFileSettings
from smsgate.daemon.billing_reports import packer_of, reports_of
from smsgate.daemon.services import Services
from smsgate.errors import NotFound
from smsgate.flows.bill_files import BillFile, examined, reconcile_file
from smsgate.flows.dispute_pack import empty_directory
from smsgate.flows.pricing import Pricing
from smsgate.flows.reconciling import BillQuestion, BillResult
from smsgate.money import micros_from_text, micros_to_text
from smsgate.security.public_ids import PublicIds
from smsgate.store.usage import PgPriceData

HELP: Final = (
    "Hold a carrier's bill against what we counted, by its message ids, or by network and price where the "
    "file names no messages.\n\nFILE is CSV; [[billing.carrier_files]] says what is not found by the names "
    "of its columns: docs/billing.md. --pack writes what the carrier needs to check it. The same file counts "
    "once. Ends with 1 when more or less is billed than the tolerance lets through."
)
EPILOG: Final = examples(
    "smsgate billing reconcile sms-fr 2026-10 sms-fr-2026-10.csv",
    "smsgate billing reconcile sms-fr 2026-10 records.csv --amount 12980.39 --pack dispute-2026-10",
    "smsgate billing reconcile sms-fr 2026-10 records.csv --output result.csv --json",
)


def reconcile(
    carrier: Annotated[str, typer.Argument(metavar="CARRIER", help="Its name in the configuration.")],
    month: Annotated[str, typer.Argument(metavar="YYYY-MM", help="A month of the carrier's time zone.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What the carrier sent.")],
    amount: Annotated[
        str | None, typer.Option(help="What it asks for the month.", show_default="the sum of the file")
    ] = None,
    pack: Annotated[
        Path | None, typer.Option(help="Write a dispute pack into this new directory.", show_default="none")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write every row with its reason, as CSV.", show_default="none")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    with as_usage("YYYY-MM"):
        asked = Month.parse(month)
    with as_usage("--amount"):
        invoiced = None if amount is None else micros_from_text(amount)
    bill = _examined(file)
    settings = load_settings(config)
    if pack is not None:
        with as_usage("--pack"):
            empty_directory(pack)
    terms = terms_of(settings, carrier)

    async def work(services: Services) -> tuple[BillResult, PublicIds]:
        question = BillQuestion(
            carrier,
            asked,
            terms.timezone,
            await _currency(settings, services, carrier),
            terms.tolerance(),
            file.name,
            bill.sha256,
            invoiced,
        )
        result = await _reconciled(settings, services, question, bill, terms, pack, output)
        return result, services.public_ids

    result, public_ids = with_settings(settings, work)
    if as_json:
        show_json(as_reconciliation(result, public_ids).model_dump(mode="json"))
    else:
        _tell(result, pack)
    raise typer.Exit(Exit.OK if result.verdict is Verdict.ACCEPTED else Exit.FAILED)


def terms_of(settings: Settings, carrier: str) -> CarrierFileSettings:
    """Return how the carrier writes its files; without a table by the names of columns alone."""
    found = (each for each in settings.billing.carrier_files if each.carrier == carrier)
    return next(found, CarrierFileSettings(carrier=carrier))


async def _currency(settings: Settings, services: Services, carrier: str) -> str:
    """Return what the carrier's costs are in."""
    profile = next((each for each in settings.carriers if each.name == carrier), None)
    if profile is None or profile.cost_list is None:
        raise UsageRefused(
            f"CARRIER: the configuration has no carrier {carrier!r} with a cost_list: what it should charge "
            "is not known."
        )
    pricing = Pricing(PgPriceData(services.database), services.clock)
    await pricing.refresh()
    book = pricing.cost_book(profile.cost_list)
    if book is None:
        raise NotFound(f"There is no cost list {profile.cost_list!r}: smsgate billing publish --side cost.")
    return book.currency


async def _reconciled(
    settings: Settings,
    services: Services,
    question: BillQuestion,
    bill: BillFile,
    terms: CarrierFileSettings,
    pack: Path | None,
    output: Path | None,
) -> BillResult:
    """Write beside the pack and the output first: they are there whole or not at all."""
    with tempfile.TemporaryDirectory(prefix="smsgate-dispute-") as directory:
        packed, rows = Path(directory) / "pack", Path(directory) / "rows"
        packed.mkdir()
        result = await reconcile_file(
            reports_of(settings, services).reconciling,
            question,
            bill,
            terms.terms(),
            packer_of(settings, services),
            pack=None if pack is None else packed,
            everything=None if output is None else rows,
        )
        if output is not None:
            _moved(rows, output)
        if pack is not None:
            _moved_all(packed, pack)
        return result


def _moved_all(source: Path, target: Path) -> None:
    for path in sorted(source.iterdir()):
        _moved(path, target / path.name)


def _moved(source: Path, target: Path) -> None:
    try:
        shutil.move(source, target)
        target.chmod(FILE_MODE)
    except OSError as exc:
        raise UsageRefused(f"{target} cannot be written: {exc.strerror}.") from exc


def _examined(path: Path) -> BillFile:
    try:
        return examined(path)
    except OSError as exc:
        raise unreadable(path, exc) from exc


def _tell(result: BillResult, pack: Path | None) -> None:
    if not result.is_new:
        say("This file was reconciled with the month before: it counts once.")
    for name, count in sorted(result.counts.items()):
        show(f"{name}: {count}")
    show_table(
        ("network", "reason", "ours", "theirs", "our price", "their price", "difference", "count", "price"),
        [
            [
                line.network or "-", line.reason.value, str(line.our_segments), str(line.their_segments),
                _price(line.our_unit), _price(line.their_unit), micros_to_text(line.difference_micros),
                micros_to_text(line.count_micros), micros_to_text(line.price_micros),
            ]
            for line in result.lines
        ],
    )  # fmt: skip
    for_others = ", for the messages of other months that it lists" if result.is_for_other_months else ""
    show(
        f"{result.carrier}, {result.month} ({result.zone_name}): we count "
        f"{micros_to_text(result.our_micros)}, it asks {micros_to_text(result.invoiced_micros)}, "
        f"a difference of {micros_to_text(result.difference_micros)} {result.currency}; "
        f"{micros_to_text(result.allowed_micros)} is tolerated: {result.verdict.value}{for_others}."
    )
    if pack is not None:
        say(f"The pack for the carrier is in {pack}.")


def _price(micros: int | None) -> str:
    return "-" if micros is None else micros_to_text(micros)
