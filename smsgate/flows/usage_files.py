"""
Usage records as files that are kept for a while, so that a download that broke goes on where it was.

A month's file is made once, off one snapshot, with its manifest beside it; whoever asks for a part of it
later gets the part of the very same file, or is told by its SHA-256 that there is another one. Files are this
process's own: another one makes another file, with another SHA-256. How many people the merchant had erased
before it was made stands with it: with one more, whichever process erased, it is handed out no more.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from smsgate.billing.periods import Month
from smsgate.billing.usage_rows import UsageSums
from smsgate.clock import Clock
from smsgate.errors import NotReadyYet
from smsgate.flows.commerce_records import MerchantProfile
from smsgate.flows.exporting import CsvRows, Exporting, ExportQuestion
from smsgate.flows.kept_files import FILE_MODE, KeptFile, KeptFiles
from smsgate.money import check_currency

log = structlog.get_logger(__name__)

FRESH: Final = timedelta(minutes=10)  # who begins a download gets what the month looked like then
FILES_OCTETS_MAX: Final = 20 << 30  # of all kept files: ten months of ten million rows
MAKING_MAX: Final = 100  # months that wait to be made; each is a moment, or minutes of one connection


Key = tuple[int, str, str]
_ERASURES: Final = "erasures"  # beside the manifest, and told to nobody


class UsageFiles:
    """
    `merchant` says whose month it is, `kept` how long its file stays, `erasures` how many people a merchant
    had erased.

    Files are made one after the other, off one connection.
    """

    def __init__(
        self,
        exporting: Exporting,
        merchant: Callable[[int], Awaitable[MerchantProfile]],
        directory: Path,
        kept: timedelta,
        clock: Clock,
        erasures: Callable[[int], Awaitable[int]],
    ) -> None:
        self._exporting = exporting
        self._erasures = erasures
        self._merchant = merchant
        self._clock = clock
        self.files = KeptFiles(directory, kept, FILES_OCTETS_MAX, clock)
        self._making: dict[Key, asyncio.Task[None]] = {}

    async def get(
        self, merchant_id: int, month: Month, currency: str | None, *, resumed: bool, wait_s: float
    ) -> KeptFile:
        """
        Return the month's file; `resumed` takes any that is kept, else it is made anew when it is old.

        Raises:
            Invalid: code `currency_unknown`.
            NotReadyYet: it is not made within `wait_s`; the making goes on.
        """
        merchant = await self._merchant(merchant_id)
        question = ExportQuestion(merchant, month, check_currency(currency or merchant.currency))
        key = merchant_id, str(month), question.currency
        found = await asyncio.to_thread(self._kept, key, await self._erasures(merchant_id))
        if found is not None and (resumed or self._clock.now() - found.made_at < FRESH):
            return found
        task = self._making.get(key)
        if task is None:
            if len(self._making) >= MAKING_MAX:
                raise NotReadyYet("too many files are being made")
            task = self._making[key] = asyncio.create_task(self._make(key, question), name="usage_file")
            task.add_done_callback(lambda done: self._made(key, done))
        await asyncio.wait({task}, timeout=wait_s)
        if not task.done():
            raise NotReadyYet("the file is being made")
        task.result()
        made = await asyncio.to_thread(self._kept, key, await self._erasures(merchant_id))
        if made is None:
            raise NotReadyYet("the file was removed: to make room, or for a number that was erased")
        return made

    async def close(self) -> None:
        """Stop what is being made."""
        tasks = list(self._making.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _made(self, key: Key, done: asyncio.Task[None]) -> None:
        """Tell what went wrong, though whoever asked may be gone."""
        self._making.pop(key, None)
        if not done.cancelled() and (error := done.exception()) is not None:
            log.warning("usage_file_not_made", merchant_id=key[0], month=key[1], error=str(error)[:200])

    async def _make(self, key: Key, question: ExportQuestion) -> None:
        async with self.files.one:
            await self.files.make_room()
            scratch = self.files.directory / f".{_stem(key)}.{os.getpid()}"
            rows = await asyncio.to_thread(CsvRows, scratch)
            erasures = await self._erasures(key[0])  # before the snapshot: a later one makes the file void
            try:
                manifest = await self._exporting.write(
                    question,
                    scratch,
                    lambda _path: rows,
                    now=self._clock.now(),
                    name=f"{_shown(question)}.csv",
                )
                await asyncio.to_thread(self._keep, key, scratch, dict(manifest.values), erasures)
            finally:
                rows.close(UsageSums())  # a second time does nothing
                scratch.unlink(missing_ok=True)
        log.info(
            "usage_file_made", merchant_id=key[0], month=key[1], rows=manifest.rows, equal=manifest.equal
        )

    def _keep(self, key: Key, scratch: Path, manifest: dict[str, Any], erasures: int) -> None:
        """Put the file and then its manifest in place: who reads the manifest finds its file."""
        sha256 = manifest["sha256"]
        before = self._read(key)
        scratch.chmod(FILE_MODE)
        scratch.replace(self._file(key, sha256))
        told = self.files.directory / f".{_stem(key)}.{os.getpid()}.json"
        told.write_bytes(orjson.dumps(manifest | {_ERASURES: erasures}))
        told.replace(self._told(key))
        if before is not None and before["sha256"] != sha256:
            self._file(key, before["sha256"]).unlink(missing_ok=True)

    def _read(self, key: Key) -> dict[str, Any] | None:
        try:
            manifest: dict[str, Any] = orjson.loads(self._told(key).read_bytes())
        except FileNotFoundError:
            return None
        return manifest

    def _kept(self, key: Key, erasures: int) -> KeptFile | None:
        """Return the file that may be handed out; one from before an erasure is removed."""
        manifest = self._read(key)
        if manifest is None:
            return None
        path = self._file(key, manifest["sha256"])
        if manifest.pop(_ERASURES, None) != erasures:
            path.unlink(missing_ok=True)
            self._told(key).unlink(missing_ok=True)
            return None
        made_at = datetime.fromisoformat(manifest["made_at"])
        if self.files.is_over(made_at) or not path.is_file():
            return None
        return KeptFile(path, manifest["sha256"], manifest["octets"], made_at, manifest)

    async def forget(self, merchant_id: int) -> int:
        """
        Remove a merchant's files, which tell a number that was erased; return how many went.

        What is being made goes when it is done, and whoever asked asks again.
        """
        making = [task for key, task in self._making.items() if key[0] == merchant_id]
        gone = await asyncio.to_thread(self._forget, merchant_id)
        for task in making:
            task.add_done_callback(lambda _done: self._forget(merchant_id))
        return gone

    def _forget(self, merchant_id: int) -> int:
        files = list(self.files.directory.glob(f"{merchant_id}-*"))
        for path in files:
            path.unlink(missing_ok=True)
        return len(files)

    def _told(self, key: Key) -> Path:
        return self.files.directory / f"{_stem(key)}.json"

    def _file(self, key: Key, sha256: str) -> Path:
        return self.files.directory / f"{_stem(key)}-{sha256}.csv"


def _stem(key: Key) -> str:
    return "-".join(map(str, key))


def _shown(question: ExportQuestion) -> str:
    return f"usage-{question.month}-{question.currency}"
