"""
The proof file of an invoice, checked offline: the paper, what its lines count, and the records behind them.

It is a chain as orders' proof files are (security/proof_chain.py): `document` holds the payload as it was
issued, with its place in the chain of its series; `line` names the price of each line; `records` has the root
over all messages of a price and month, their segments, and in which documents these were billed; `sample` is
one record with its path to a root; the seal is signed.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from smsgate.billing.documents import CREDITS
from smsgate.billing.invoices import check_invoice, invoice_from_json
from smsgate.billing.record_trees import RecordTrees, record_of_cells, root_of_path
from smsgate.billing.usage_rows import COLUMNS
from smsgate.errors import Invalid
from smsgate.security.proof_chain import verify

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smsgate.billing.invoices import Invoice

DOCUMENT: Final = "document"
LINE: Final = "line"
RECORDS: Final = "records"
SAMPLE: Final = "sample"

Key = tuple[str, str]  # price item and month


@dataclass(frozen=True, slots=True)
class Held:
    """What a file proves; `wrong` is the first sentence of what does not hold, "" when all does."""

    wrong: str = ""
    number: str = ""
    lines: int = 0
    segments: int = 0
    rows: int = 0
    samples: int = 0
    rows_compared: int = 0
    key: str = ""


@dataclass(slots=True)
class _File:
    document: dict[str, Any] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)
    records: dict[Key, dict[str, Any]] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)


def check_proof(octets: bytes, *, key: str | None = None, records: Iterable[Iterable[str]] = ()) -> Held:
    """
    Check a proof file; nothing else is needed.

    `key` (hex) is the gateway's public key; `records` are the lines of the merchant's own exports (CSV): they
    must lead to the roots, and a row more or less, or another amount, leads elsewhere.
    """
    verdict = verify(octets, key)
    if verdict.wrong is not None:
        return Held(f"entry {verdict.wrong} does not hold: {verdict.reason}", key=verdict.key)
    try:
        file = _read(octets)
        invoice = _checked_document(file)
        _check_lines(file, invoice)
        _check_samples(file)
        compared = _compare(file, records)
    except Invalid as exc:
        return Held(str(exc), key=verdict.key)
    except (KeyError, TypeError, ValueError, IndexError) as exc:
        return Held(f"the entries are none of an invoice's proof: {exc!r}", key=verdict.key)
    return Held(
        number=invoice.number,
        lines=len(invoice.lines),
        segments=sum(body["segments"] for body in file.records.values()),
        rows=sum(body["rows"] for body in file.records.values()),
        samples=len(file.samples),
        rows_compared=compared,
        key=verdict.key,
    )


def _read(octets: bytes) -> _File:
    file = _File()
    for line in octets.splitlines():
        entry = json.loads(line)
        body = entry["body"]
        match entry["kind"]:
            case "document":
                file.document = body
            case "line":
                file.lines.append(body)
            case "records":
                file.records[body["price_item"], body["month"]] = body
            case "sample":
                file.samples.append(body)
    if not file.document:
        raise Invalid("the file holds no document")
    return file


def _checked_document(file: _File) -> Invoice:
    payload = file.document["payload"].encode()
    if hashlib.sha256(payload).hexdigest() != file.document["sha256"]:
        raise Invalid("the document does not have its hash")
    chain = hashlib.sha256(bytes.fromhex(file.document["previous_sha256"]) + payload)
    if chain.hexdigest() != file.document["chain_sha256"]:
        raise Invalid("the document does not follow from the one before in its series")
    invoice = invoice_from_json(payload)
    check_invoice(invoice)
    return invoice


def _check_lines(file: _File, invoice: Invoice) -> None:
    """Hold the paper's lines to the counts, and the counts to the records."""
    sign = -1 if invoice.code in CREDITS else 1
    mine: Counter[Key] = Counter()
    for body in file.lines:
        line = invoice.lines[body["line"] - 1]
        if (line.quantity, line.origin) != (body["quantity"], body["month"]):
            raise Invalid(f"line {body['line']} is not what the document says")
        mine[body["price_item"], body["month"]] += sign * body["quantity"]
    for key, quantity in mine.items():
        if key not in file.records:
            raise Invalid(f"{key[0]} of {key[1]} has no records")
        group = file.records[key]
        billed = dict(group["billed"])
        if billed.get(invoice.number, 0) != quantity:
            raise Invalid(f"{key[0]} of {key[1]}: its lines do not make {billed.get(invoice.number, 0)}")
        if sum(billed.values()) + group["not_billed"] != group["segments"]:
            raise Invalid(f"{key[0]} of {key[1]}: documents and records do not count the same")


def _check_samples(file: _File) -> None:
    for body in file.samples:
        group = file.records[body["price_item"], body["month"]]
        if root_of_path(body["record"], body["path"]) != group["root"]:
            raise Invalid(f"the sample {body['record'].split(',')[0]} does not lead to its root")


def _compare(file: _File, exports: Iterable[Iterable[str]]) -> int:
    """Return how many rows of exports lead to the roots; rows of other months and prices are passed over."""
    spans = {
        body["month"]: tuple(datetime.fromisoformat(body[name]) for name in ("starts_at", "ends_at"))
        for body in file.records.values()
    }
    found: dict[str, RecordTrees] = {}
    asked = False
    for lines in exports:
        asked = True
        reader = csv.DictReader(lines)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise Invalid(f"an export's header is not {','.join(COLUMNS)}")
        for cells in reader:
            at = datetime.fromisoformat(cells["accepted_at"])
            month = next((month for month, (start, end) in spans.items() if start <= at < end), None)
            if month is not None and (cells["price_item"], month) in file.records:
                trees = found.setdefault(month, RecordTrees())
                trees.add(
                    cells["message"], cells["price_item"], int(cells["segments"]), record_of_cells(cells)
                )
    if asked and not found:
        raise Invalid("no row of the exports is behind this document")
    compared = 0
    for month, trees in found.items():
        for (price_item, of_month), body in file.records.items():
            if of_month != month:
                continue
            tree = trees.trees.get(price_item)
            if tree is None or tree.root() != body["root"]:
                rows = 0 if tree is None else tree.rows
                raise Invalid(
                    f"{price_item} of {month}: the {rows} rows of the export do not lead to the root over "
                    f"{body['rows']}"
                )
            compared += tree.rows
    return compared
