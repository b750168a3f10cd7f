"""A carrier's file on disk: looked at octet by octet, held against what we counted, packed for a dispute."""

from __future__ import annotations

import codecs
import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smsgate.billing.carrier_files import CarrierFile, FileTerms
from smsgate.errors import Invalid
from smsgate.flows.dispute_pack import MESSAGES, MatchFile, write_pack
from smsgate.flows.reconciling import BillQuestion, BillResult, MatchWriter, Reconciling
from smsgate.security.proof_chain import ProofKey
from smsgate.security.public_ids import PublicIds

READ_OCTETS: Final = 1 << 20
LINE_OCTETS_MAX: Final = 64 << 10  # a row of a bill has hundreds; a line is read as a whole


@dataclass(frozen=True, slots=True)
class BillFile:
    """`name` is what the carrier or we call it."""

    path: Path
    name: str
    encoding: str
    sha256: bytes


class Examination:
    """
    What is to be known of a file before it is read: SHA-256 and encoding, from its octets as they come.

    UTF-16 is known by its mark, UTF-8 by being it; all else is Windows-1252.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._encoding = "utf-8-sig"
        self._line = 0
        self.octets = 0

    def feed(self, octets: bytes) -> None:
        """
        Take the next octets.

        Raises:
            Invalid: code `bill_invalid`: a line that is none.
        """
        if not self.octets and octets.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self._encoding = "utf-16"
        self.octets += len(octets)
        self._digest.update(octets)
        self._decode(octets, final=False)
        first, *others = octets.split(b"\n")
        lengths = [self._line + len(first), *map(len, others)]
        self._line = lengths[-1]
        if max(lengths) > LINE_OCTETS_MAX:
            raise Invalid(f"a line has more than {LINE_OCTETS_MAX} octets", code="bill_invalid")

    def end(self, path: Path, name: str) -> BillFile:
        self._decode(b"", final=True)
        return BillFile(path, name, self._encoding, self._digest.digest())

    def _decode(self, octets: bytes, *, final: bool) -> None:
        if self._encoding == "utf-8-sig":
            try:
                self._decoder.decode(octets, final=final)
            except UnicodeDecodeError:
                self._encoding = "cp1252"


def examined(path: Path) -> BillFile:
    """
    Look a file through.

    Raises:
        OSError: it cannot be read.
        Invalid: code `bill_invalid`.
    """
    examination = Examination()
    with path.open("rb") as file:
        while octets := file.read(READ_OCTETS):
            examination.feed(octets)
    return examination.end(path, path.name)


@dataclass(frozen=True, slots=True)
class Packer:
    """Who writes packs: the gateway's key, and how we call ourselves to carriers."""

    key: ProofKey
    name: str
    public_ids: PublicIds


async def reconcile_file(
    reconciling: Reconciling,
    question: BillQuestion,
    bill: BillFile,
    terms: FileTerms,
    packer: Packer,
    *,
    pack: Path | None = None,
    everything: Path | None = None,
) -> BillResult:
    """
    Reconcile a file; write a pack into the directory `pack`, and every row with its reason to `everything`.

    Raises:
        Invalid: code `bill_invalid`; also when every row is wanted of a file that names no messages.
        NotFound: no such carrier.
    """
    with ExitStack() as stack:
        opened = stack.enter_context(bill.path.open(encoding=bill.encoding, newline=""))
        read = CarrierFile(opened, bill.name, terms, question.currency)
        writers: list[MatchWriter] = []
        messages = None
        if pack is not None and read.by_message:
            writers.append(messages := MatchFile(pack / MESSAGES))
            stack.callback(messages.close)
        if everything is not None:
            if not read.by_message:
                raise Invalid(
                    f"{bill.name} names no messages, so there are no rows to write", code="bill_invalid"
                )
            writers.append(rows := MatchFile(everything, packer.public_ids))
            stack.callback(rows.close)
        result = await reconciling.reconcile(question, read, writers)
        if pack is not None:
            write_pack(pack, result, messages, packer.key, packer.name)
        return result
