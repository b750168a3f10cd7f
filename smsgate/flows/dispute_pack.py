"""
A dispute pack: what a carrier needs to check a difference, and nothing that is not its business.

Ids, times and counts of messages, sums by network and price, a manifest with SHA-256, and the manifest
sealed with the gateway's key (`smsgate order verify` proves it). No numbers of people, no texts, no
merchants, no prices that merchants pay.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final

import orjson

from smsgate.billing.csv_text import safe_cell
from smsgate.billing.reconciliation import JudgedRow, RowClass, TrafficRow, Verdict
from smsgate.errors import Invalid
from smsgate.flows.exporting import sha256_of
from smsgate.flows.reconciling import BillResult, OurRow
from smsgate.money import micros_to_text
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.security.proof_chain import Entry, ProofKey
from smsgate.security.public_ids import Kind, PublicIds

MESSAGES: Final = "messages.csv"
LINES: Final = "lines.csv"
LETTER: Final = "README.txt"
MANIFEST: Final = "manifest.json"
SEALED: Final = "manifest.proof.jsonl"
SUMS: Final = "SHA256SUMS"
FILE_MODE: Final = 0o640

MESSAGE_COLUMNS: Final = (
    "message_id", "reason", "our_time", "carrier_time", "our_segments", "carrier_segments", "our_cost",
    "carrier_cost", "difference", "receipt", "receipt_time", "contradicted_by",
)  # fmt: skip
LINE_COLUMNS: Final = (
    "network", "reason", "our_segments", "carrier_segments", "our_price", "carrier_price", "our_cost",
    "carrier_cost", "difference", "by_count", "by_price",
)  # fmt: skip
REASONS: Final[dict[RowClass, str]] = {
    RowClass.MATCHED: "equal on both sides",
    RowClass.PRICE_DIFFERS: "the same message at another price",
    RowClass.SEGMENTS_DIFFER: "the same message with another count of segments",
    RowClass.NOT_OWED: "charged on delivery only, and its first final receipt did not say DELIVRD",
    RowClass.ONLY_OURS: "you took it from us and do not list it",
    RowClass.ONLY_CARRIER: "you list it, and you never took it from us",
    RowClass.CUT_OFF: "it lies in another month of your time zone",
    RowClass.DUPLICATE: "you list it more than once",
}


class MatchFile:
    """
    Judged rows as CSV, one reason each; `everything` also has what is equal, and whose message it is.

    A row of CSV is a few hundred octets, so a month's differences are a file like any other.
    """

    def __init__(self, path: Path, public_ids: PublicIds | None = None) -> None:
        self._public_ids = public_ids
        self._file: IO[str] = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\r\n")
        more = () if public_ids is None else ("merchant", "message", "part")
        self._writer.writerow((*MESSAGE_COLUMNS, *more))
        self.rows = 0

    def write(self, row: JudgedRow, ours: OurRow | None) -> None:
        if self._public_ids is None and row.row_class is RowClass.MATCHED:
            return
        mine, other = row.mine, row.other
        own = ours if mine is not None else None
        named = mine or other
        assert named is not None
        shown = named.message_id if own is None else own.smsc_id.decode("ascii", "replace")
        known = mine is not None and mine.cost_micros is not None and mine.owed
        our_cost = mine.cost_micros if mine is not None and known else None
        their_cost = None if other is None else other.cost_micros
        cells: list[str | int] = [
            safe_cell(shown), row.row_class.value, _time(mine), _time(other), _segments(mine),
            _segments(other), _money(our_cost), _money(their_cost),
            micros_to_text((their_cost or 0) - (our_cost or 0)),
            "" if own is None or not own.states else ReceiptState(own.states[0]).name,
            "" if own is None or own.received_at is None else own.received_at.isoformat(),
            "" if own is None else _contradictions(own.states),
        ]  # fmt: skip
        if self._public_ids is not None:
            cells += self._whose(own, self._public_ids)
        self._writer.writerow(cells)
        self.rows += 1

    @staticmethod
    def _whose(own: OurRow | None, ids: PublicIds) -> list[str | int]:
        if own is None:
            return ["", "", ""]
        merchant = ids.encode(Kind.MERCHANT, own.merchant_id)
        return [merchant, ids.encode(Kind.MESSAGE, own.message_id), own.segment]

    def close(self) -> None:
        self._file.close()


def _contradictions(states: Sequence[int]) -> str:
    """Return the states of later final receipts that say otherwise than the first, which alone counts."""
    return " ".join(ReceiptState(state).name for state in states[1:] if state != states[0])


def write_pack(
    directory: Path, result: BillResult, messages: MatchFile | None, key: ProofKey, name: str
) -> dict[str, Any]:
    """
    Complete a pack in `directory`, where `messages` stand already if the bill names any.

    `name` is how we call ourselves to the carrier.
    """
    if messages is not None:
        messages.close()
    _write(directory / LINES, _lines_csv(result))
    _write(directory / LETTER, _letter(result, name, messages is not None).encode())
    files = [MESSAGES, LINES, LETTER] if messages is not None else [LINES, LETTER]
    manifest = _manifest(result, directory, files, name)
    _write(directory / MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n")
    sealed = key.sealed([Entry("dispute", manifest["made_at"], manifest)], manifest["made_at"])
    _write(directory / SEALED, sealed)
    sums = "".join(f"{sha256_of(directory / each)}  {each}\n" for each in (*files, MANIFEST, SEALED))
    _write(directory / SUMS, sums.encode())
    return manifest


def empty_directory(path: Path) -> None:
    """
    Make the directory that a pack is written into.

    Raises:
        Invalid: code `export_unavailable`: it holds something, or cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise Invalid(f"{path} is not empty: name a new directory", code="export_unavailable")
    except OSError as exc:
        raise Invalid(f"{path} cannot be made: {exc.strerror}", code="export_unavailable") from exc


def _write(path: Path, octets: bytes) -> None:
    path.write_bytes(octets)
    path.chmod(FILE_MODE)


def _lines_csv(result: BillResult) -> bytes:
    rows = [",".join(LINE_COLUMNS)]
    rows += [
        ",".join((
            line.network, line.reason.value, str(line.our_segments), str(line.their_segments),
            _money(line.our_unit), _money(line.their_unit), micros_to_text(line.our_micros),
            micros_to_text(line.their_micros), micros_to_text(line.difference_micros),
            micros_to_text(line.count_micros), micros_to_text(line.price_micros),
        ))
        for line in result.lines
    ]  # fmt: skip
    return "".join(f"{row}\r\n" for row in rows).encode()


def _manifest(result: BillResult, directory: Path, files: Sequence[str], name: str) -> dict[str, Any]:
    return {
        "from": name,
        "carrier": result.carrier,
        "month": str(result.month),
        "zone": result.zone_name,
        "currency": result.currency,
        "bill": {
            "file": result.file_name,
            "sha256": result.file_sha256.hex(),
            "rows": result.file_rows,
        },
        "verdict": result.verdict.value,
        "our_cost": micros_to_text(result.our_micros),
        "invoiced": micros_to_text(result.invoiced_micros),
        "difference": micros_to_text(result.difference_micros),
        "tolerance": micros_to_text(result.allowed_micros),
        "messages": dict(sorted(result.counts.items())),
        "made_at": result.created_at.isoformat(),
        "files": {
            each: {"octets": (directory / each).stat().st_size, "sha256": sha256_of(directory / each)}
            for each in files
        },
    }


def _letter(result: BillResult, name: str, by_message: bool) -> str:
    said = {
        Verdict.DISPUTE: "We dispute the difference and ask you to correct the bill.",
        Verdict.UNDERBILLED: "Your bill is lower than what we count. We ask you to check it.",
        Verdict.ACCEPTED: "The difference is within the tolerance, and we accept the bill.",
    }[result.verdict]
    if result.is_for_other_months:
        said = (
            "With the messages of other months that your file lists (cut_off) you ask more than that. We "
            "dispute these and ask you to correct the bill."
        )
    asked, ours, difference, tolerated = (
        f"{micros_to_text(micros)} {result.currency}"
        for micros in (
            result.invoiced_micros, result.our_micros, result.difference_micros, result.allowed_micros,
        )
    )  # fmt: skip
    lines = [
        f"From {name} to {result.carrier}: your bill for {result.month} ({result.zone_name})",
        "",
        f"Your file {result.file_name}, SHA-256 {result.file_sha256.hex()}, rows: {result.file_rows}.",
        f"You ask {asked}. We count {ours}.",
        f"The difference is {difference}, and {tolerated} would be within the tolerance.",
        said,
        "",
        f"{LINES}: by network and price, how much of the difference is count and how much is price.",
    ]
    if by_message:
        lines += [
            f"{MESSAGES}: every message that differs, by the id of your submit_sm_resp, with one reason:",
            *(
                f"  {row_class.value} ({result.counts[row_class.value]}): {REASONS[row_class]}"
                for row_class in RowClass
                if row_class is not RowClass.MATCHED and result.counts.get(row_class.value)
            ),
        ]
    lines += [
        "",
        "Times are UTC; a month is that of your time zone, by your time where you list a message.",
        "Amounts are for all segments of a message; prices are for one segment.",
        f"{SUMS} has the SHA-256 of every file (sha256sum -c {SUMS}); {SEALED} is the manifest, signed.",
    ]
    return "\n".join(lines) + "\n"


def _time(row: TrafficRow | None) -> str:
    return "" if row is None else row.at.isoformat()


def _segments(row: TrafficRow | None) -> str | int:
    return "" if row is None else row.segments


def _money(micros: int | None) -> str:
    return "" if micros is None else micros_to_text(micros)
