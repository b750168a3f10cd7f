"""
Carriers' bills that come over HTTP, with their dispute packs, which are kept for a while.

The body goes to disk as it comes and is reconciled from there, one at a time: memory does not grow with it.
Packs are this process's own, as usage files are.
"""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Final

from smsgate.billing.carrier_files import FileTerms
from smsgate.billing.periods import Month
from smsgate.billing.reconciliation import Tolerance
from smsgate.clock import Clock
from smsgate.errors import Conflict, Invalid, NotFound
from smsgate.flows.bill_files import Examination, Packer, reconcile_file
from smsgate.flows.exporting import sha256_of
from smsgate.flows.kept_files import FILE_MODE, KeptFile, KeptFiles
from smsgate.flows.pricing import Pricing
from smsgate.flows.reconciling import BillQuestion, BillResult, Reconciling

BILL_OCTETS_MAX: Final = 2 << 30  # some twenty million rows; the command line takes larger ones
PACKS_OCTETS_MAX: Final = 10 << 30  # of all packs; the oldest go first


@dataclass(frozen=True, slots=True)
class BillTerms:
    """How a carrier bills, by the configuration; `cost_list` says what it should charge."""

    zone_name: str
    file: FileTerms
    tolerance: Tolerance
    cost_list: str


@dataclass(frozen=True, slots=True)
class BillAsked:
    """`invoiced_micros`: what the carrier asks; None: the sum of the file."""

    carrier: str
    month: Month
    file_name: str
    invoiced_micros: int | None = None


class BillUploads:
    """`kept` says how long a pack stays."""

    def __init__(
        self,
        reconciling: Reconciling,
        pricing: Pricing,
        terms: Callable[[str], BillTerms | None],
        packer: Packer,
        directory: Path,
        kept: timedelta,
        clock: Clock,
    ) -> None:
        self._reconciling = reconciling
        self._pricing = pricing
        self._terms = terms  # by the name of a carrier that is configured at this moment
        self._packer = packer
        self.files = KeptFiles(directory, kept, PACKS_OCTETS_MAX, clock)

    async def take(self, asked: BillAsked, octets: AsyncIterator[bytes]) -> BillResult:
        """
        Reconcile a body with the carrier's month, and keep its pack.

        Raises:
            NotFound: no carrier of this name with a list of costs.
            Conflict: code `reconciliation_running`: one at a time.
            Invalid: code `bill_invalid`.
        """
        terms = self._terms(asked.carrier)
        if terms is None:
            raise NotFound(f"The configuration has no carrier {asked.carrier!r} with a cost_list.")
        if self.files.one.locked():
            raise Conflict("Another bill is being reconciled.", code="reconciliation_running")
        async with self.files.one:
            await self._pricing.refresh()
            book = self._pricing.cost_book(terms.cost_list)
            if book is None:
                raise NotFound(f"There is no cost list {terms.cost_list!r}.")
            await self.files.make_room()
            async with self.files.scratch() as scratch:
                return await self._reconciled(asked, terms, book.currency, octets, scratch)

    async def _reconciled(
        self, asked: BillAsked, terms: BillTerms, currency: str, octets: AsyncIterator[bytes], scratch: Path
    ) -> BillResult:
        path, pack = scratch / "bill", scratch / "pack"
        pack.mkdir()
        examination = Examination()
        file: IO[bytes] = await asyncio.to_thread(path.open, "wb")
        with file:
            async for piece in octets:
                examination.feed(piece)
                if examination.octets > BILL_OCTETS_MAX:
                    raise Invalid(f"A bill may have {BILL_OCTETS_MAX} octets.", code="bill_invalid")
                await asyncio.to_thread(file.write, piece)
        bill = examination.end(path, asked.file_name)
        question = BillQuestion(
            asked.carrier, asked.month, terms.zone_name, currency, terms.tolerance, bill.name, bill.sha256,
            asked.invoiced_micros,
        )  # fmt: skip
        result = await reconcile_file(self._reconciling, question, bill, terms.file, self._packer, pack=pack)
        await asyncio.to_thread(self._keep, pack, scratch / "zip", result.reconciliation_id)
        return result

    async def pack(self, reconciliation_id: int) -> KeptFile:
        """
        Return the pack of a reconciliation as a ZIP file.

        Raises:
            NotFound: none is kept here: it was made by another process or a command, or long ago.
        """
        found = await asyncio.to_thread(self._kept, reconciliation_id)
        if found is None:
            raise NotFound("No pack is kept here for it: send the bill again.")
        return found

    def _keep(self, pack: Path, scratch: Path, reconciliation_id: int) -> None:
        with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(pack.iterdir()):
                archive.write(path, path.name)
        scratch.chmod(FILE_MODE)
        scratch.replace(self._path(reconciliation_id))

    def _kept(self, reconciliation_id: int) -> KeptFile | None:
        path = self._path(reconciliation_id)
        try:
            status = path.stat()
        except FileNotFoundError:
            return None
        made_at = datetime.fromtimestamp(status.st_mtime, UTC)
        return KeptFile(path, sha256_of(path), status.st_size, made_at, {})

    def _path(self, reconciliation_id: int) -> Path:
        return self.files.directory / f"{reconciliation_id}.zip"
