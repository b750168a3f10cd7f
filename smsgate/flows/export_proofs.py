"""
I17: an exported file is what its manifest says, row for row, and its sums are the ledger's.

A file is read again from its first row to its last; memory does not grow with it. The ledger is asked for
what it had recorded of the month when the file was made: what came later is in a later file. A file that was
made while its month still ran is held to its manifest alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from smsgate.billing.periods import Month, month_bounds
from smsgate.billing.usage_rows import UsageSums, csv_sums
from smsgate.errors import Invalid
from smsgate.flows.commerce_records import MerchantProfile
from smsgate.flows.exporting import UsageRecordStore, books_told, file_told, sha256_of
from smsgate.flows.verifying import Finding

MANIFEST_SUFFIX: Final = ".manifest.json"  # of what stands beside a file


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file with its manifest, and what octets and rows come to now; `unreadable`: the row that is none."""

    path: Path
    told: Mapping[str, Any]
    octets: int
    sha256: str
    sums: UsageSums
    unreadable: str = ""


def read_csv(path: Path) -> UsageSums:
    with path.open(encoding="utf-8", newline="") as file:
        return csv_sums(file)


def read_export(path: Path, sums_of: Callable[[Path], UsageSums] = read_csv) -> ExportedFile:
    """
    Read a file and the manifest beside it.

    Raises:
        Invalid: code `export_invalid`: it has no manifest; `export_unavailable`: nobody can read it here.
        OSError: the file cannot be read.
    """
    beside = path.with_name(path.name + MANIFEST_SUFFIX)
    try:
        told = orjson.loads(beside.read_bytes())
        for name in ("slug", "month", "currency", "made_at", "octets", "sha256", "rows", "sums"):
            told[name]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as exc:
        raise Invalid(f"{beside} is no manifest of an export: {exc}", code="export_invalid") from exc
    sums, unreadable = UsageSums(), ""
    try:
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
) -> Finding:
    """
    Return what is wrong with files: how many, and the first in words; `merchant` is asked by slug.

    Raises:
        NotFound: a file's merchant is none.
        Invalid: its manifest names no month.
    """
    wrong = []
    for file in files:
        said = _unlike_manifest(file) or await _unlike_ledger(
            file, store, await merchant(str(file.told["slug"]))
        )
        if said:
            wrong.append(f"{file.path.name}: {said}")
    return Finding("I17", len(wrong), wrong[0] if wrong else None)


def _unlike_manifest(file: ExportedFile) -> str:
    if file.unreadable:
        return file.unreadable
    told = file.told
    for name, found in (
        ("octets", file.octets),
        ("sha256", file.sha256),
        ("rows", file.sums.rows),
        ("sums", file_told(file.sums)),
    ):
        if found != told[name]:
            return f"its {name} are {_shown(found)}, the manifest has {_shown(told[name])}"
    return ""


async def _unlike_ledger(file: ExportedFile, store: UsageRecordStore, merchant: MerchantProfile) -> str:
    told = file.told
    made_at = datetime.fromisoformat(told["made_at"])
    starts_at, ends_at = month_bounds(Month.parse(told["month"]), merchant.timezone)
    if made_at < ends_at:
        return ""
    async with store.snapshot(merchant.merchant_id, starts_at, ends_at) as snapshot:
        booked = books_told(await snapshot.ledger(told["currency"], before=made_at))
    if booked == told["sums"]:
        return ""
    return f"it has {_shown(told['sums'])}, the ledger {_shown(booked)}"


def _shown(found: Any) -> str:
    """Return sums as text: mt 12 messages, 14 segments, 0.63."""
    if not isinstance(found, list):
        return str(found)
    sums = [
        f"{each['direction']} {each['messages']} messages, {each['segments']} segments, {each['amount']}"
        for each in found
    ]
    return "; ".join(sums) or "nothing"
