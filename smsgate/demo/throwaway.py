"""Worked cases through an embedded database that is made for them and thrown away."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from smsgate.billing.cases import is_invoice, simulate
from smsgate.billing.cases.fields import Fields
from smsgate.demo.worked_case import invoice_through_database
from smsgate.errors import Invalid
from smsgate.store.embedded import EmbeddedPostgres
from smsgate.store.pool import Database
from smsgate.store.verify import PgVerify


async def answers_through_database(cases: Sequence[object], places: Sequence[str]) -> list[Any]:
    """
    Return the answers; invoice cases go end to end, each as a merchant of its own, the others are computed.

    Raises:
        Invalid: a case cannot be read or computed; it begins with the case's place.
        SmsgateError: the books do not hold at the end.
    """
    with _directory() as directory:
        server = EmbeddedPostgres(
            directory / "state", settings={"fsync": "off"}, system_dir=directory / "system"
        )
        async with server, await Database.open(server) as database:
            answers: list[Any] = []
            for run, (case, place) in enumerate(zip(cases, places, strict=True), 1):
                try:
                    if is_invoice(case):
                        record = Fields(Fields(case, "case").need("input"), "input")
                        answers.append(await invoice_through_database(record, database, run))
                    else:
                        answers.append(simulate(case))
                except Invalid as exc:
                    raise Invalid(f"{place}{exc}", code=exc.code) from exc
            (await PgVerify(database).looked()).hold()
            return answers


@contextmanager
def _directory() -> Iterator[Path]:
    """Make a directory that PostgreSQL's own user can reach, when root runs this."""
    directory = Path(tempfile.mkdtemp(prefix="smsgate-case-"))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
