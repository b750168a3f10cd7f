"""
I17: an exported file is what its manifest says, row for row; its sums are those of ledger and documents.

A file is read again from its first row to its last; memory does not grow with it. The ledger is asked for
what the file's snapshot had of the month: what came later is in a later file, also of a flush that was cut
before and committed after it, so the manifest names the instants of the last minutes that were there. A file
that was made while its month still ran is held to its manifest alone. Records of a document are held to its
lines.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from smsgate.billing.document_records import RecordSums, record_sums
from smsgate.billing.periods import Month, month_bounds
from smsgate.billing.usage_rows import UsageSums, csv_sums
from smsgate.errors import Invalid
from smsgate.flows.commerce_records import MerchantProfile
from smsgate.flows.document_exports import kinds_told
from smsgate.flows.documents import StoredDocument
from smsgate.flows.exporting import Recorded, UsageRecordStore, books_told, file_told, sha256_of
from smsgate.flows.verifying import Finding
from smsgate.money import micros_from_text, micros_to_text

MANIFEST_SUFFIX: Final = ".manifest.json"  # of what stands beside a file
MONTH_KEYS: Final = ("slug", "month", "currency", "made_at", "octets", "sha256", "rows", "sums")
DOCUMENT_KEYS: Final = ("document", "currency", "octets", "sha256", "rows", "sums", "total", "net")


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """
    A file with its manifest, and what octets and rows come to now; `unreadable`: the row that is none.

    `sums` are those of a month's messages, or of one document's records; None: no rows are read of such a
    file (a spreadsheet), and its size and SHA-256 are all that is held to its manifest.
    """

    path: Path
    told: Mapping[str, Any]
    octets: int
    sha256: str
    sums: UsageSums | RecordSums | None
    unreadable: str = ""


def read_csv(path: Path) -> UsageSums:
    with path.open(encoding="utf-8", newline="") as file:
        return csv_sums(file)


def read_records(path: Path) -> RecordSums:
    with path.open(encoding="utf-8", newline="") as file:
        return record_sums(file)


def files_in(directory: Path) -> list[Path]:
    """
    Return the files of a directory whose manifests stand there, whether they do themselves or not.

    Raises:
        Invalid: code `export_invalid`: it has no manifest.
    """
    found = sorted(directory.glob(f"?*{MANIFEST_SUFFIX}"))
    if not found:
        raise Invalid(f"{directory} has no manifest of an export", code="export_invalid")
    return [each.with_name(each.name.removesuffix(MANIFEST_SUFFIX)) for each in found]


def read_export(path: Path, sums_of: Callable[[Path], UsageSums] | None = read_csv) -> ExportedFile:
    """
    Read a file and the manifest beside it; without `sums_of` none of its rows.

    Raises:
        Invalid: code `export_invalid`: it has no manifest; `export_unavailable`: nobody can read it here.
        OSError: the file cannot be read.
    """
    beside = path.with_name(path.name + MANIFEST_SUFFIX)
    try:
        told = orjson.loads(beside.read_bytes())
        is_document = "document" in told
        for name in DOCUMENT_KEYS if is_document else MONTH_KEYS:
            told[name]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as exc:
        raise Invalid(f"{beside} is no manifest of an export: {exc}", code="export_invalid") from exc
    sums: UsageSums | RecordSums | None = None
    unreadable = ""
    if not path.exists():
        return ExportedFile(path, told, 0, "", sums, "its manifest is here, and the file is not")
    try:
        if is_document:
            sums = read_records(path)
        elif sums_of is not None:
            sums = sums_of(path)
    except Invalid as exc:
        if exc.code != "export_invalid":
            raise
        unreadable = str(exc)
    return ExportedFile(path, told, path.stat().st_size, sha256_of(path), sums, unreadable)


async def prove_exports(
    files: Sequence[ExportedFile],
    store: UsageRecordStore,
    merchant: Callable[[str], Awaitable[MerchantProfile]],
    document: Callable[[str], Awaitable[StoredDocument]],
) -> Finding:
    """
    Return what is wrong with files: how many, and the first in words.

    `merchant` is asked by slug, `document` by number.

    Raises:
        NotFound: a file's merchant or document is none.
        Invalid: its manifest names no month.
    """
    wrong = []
    for file in files:
        said = unlike_manifest(file)
        if not said and isinstance(file.sums, RecordSums):
            said = file.sums.unlike((await document(str(file.told["document"]))).lines)
        elif not said:
            said = await _unlike_books(file, store, await merchant(str(file.told["slug"])))
        if said:
            wrong.append(f"{file.path.name}: {said}")
    return _finding(wrong)


def prove_offline(files: Sequence[ExportedFile]) -> Finding:
    """Return what is wrong with files by their manifests alone, as `prove_exports` does."""
    return _finding([f"{file.path.name}: {said}" for file in files if (said := unlike_manifest(file))])


def _finding(wrong: Sequence[str]) -> Finding:
    return Finding("I17", len(wrong), wrong[0] if wrong else None)


def unlike_manifest(file: ExportedFile) -> str:
    """Return how a file is not what its manifest says, in words; "" when it is."""
    if file.unreadable:
        return file.unreadable
    told, sums = file.told, file.sums
    if isinstance(sums, RecordSums):
        rows = sum(each.rows for each in sums.by_kind.values())
        total = micros_to_text(sums.total_micros)
        counted = {"document": sums.document or told["document"], "rows": rows}
        counted |= {"sums": kinds_told(sums.by_kind), "total": total, "net": total}
    else:
        counted = {} if sums is None else {"rows": sums.rows, "sums": file_told(sums)}
    for name, found in {"octets": file.octets, "sha256": file.sha256, **counted}.items():
        if not _same(name, found, told[name]):
            return f"its {name} are {_shown(found)}, the manifest has {_shown(told[name])}"
    return ""


def _same(name: str, found: Any, told: Any) -> bool:
    if name != "net":
        return bool(found == told)
    try:
        return micros_from_text(found) == micros_from_text(str(told))
    except Invalid:
        return False


async def _unlike_books(file: ExportedFile, store: UsageRecordStore, merchant: MerchantProfile) -> str:
    told = file.told
    try:
        made_at, month = datetime.fromisoformat(told["made_at"]), Month.parse(told["month"])
        starts_at, ends_at = month_bounds(month, merchant.timezone)
        if made_at < ends_at:
            return ""
        recorded = _recorded(told, made_at)
    except (AttributeError, TypeError, ValueError) as exc:
        raise Invalid(f"the manifest of {file.path.name} has no time: {exc}", code="export_invalid") from exc
    async with store.snapshot(merchant.merchant_id, starts_at, ends_at) as snapshot:
        booked = books_told(await snapshot.ledger(told["currency"], recorded))
        billed = await snapshot.billed(told["currency"], month, recorded)
    if booked != told["sums"]:
        return f"it has {_shown(told['sums'])}, the ledger {_shown(booked)}"
    filed = {each["direction"]: (each["segments"], each["amount"]) for each in told["sums"]}
    for direction in sorted(filed.keys() | billed.keys()):
        segments, micros = billed.get(direction, (0, 0))
        has, amount = filed.get(direction, (0, micros_to_text(0)))
        if (has, amount) != (segments, micros_to_text(micros)):
            return (
                f"it has {direction} {has} segments, {amount}; lines of documents, and what is on none yet, "
                f"{segments} segments, {micros_to_text(micros)}"
            )
    return ""


def _recorded(told: Mapping[str, Any], made_at: datetime) -> Recorded:
    """Return what the file's snapshot had; manifests of before it was told have the instant alone."""
    ledger = told.get("ledger", {})
    if "instants" not in ledger:
        return Recorded(made_at)
    instants = [datetime.fromisoformat(text) for text in ledger["instants"]]
    return Recorded(datetime.fromisoformat(ledger["before"]), instants)


def _shown(found: Any) -> str:
    """Return sums as text: mt 12 messages, 14 segments, 0.63; what else a manifest has there, as it is."""
    if not isinstance(found, list):
        return str(found)
    try:
        sums = [
            f"{each.get('direction') or each['kind']} {each['messages']} messages, "
            f"{each['segments']} segments, {each['amount']}"
            for each in found
        ]
    except (AttributeError, KeyError):
        return str(found)
    return "; ".join(sums) or "nothing"
