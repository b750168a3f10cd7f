"""Read `distribution.toml`: how each table is laid out on one machine and on Citus."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, Literal, cast

Kind = Literal["reference", "distributed", "local"]
KINDS: Final = ("reference", "distributed", "local")
FIELDS: Final = frozenset({"kind", "key", "partitioned", "id"})


@dataclass(frozen=True, slots=True)
class Table:
    """`key` is the distribution column; `id_column` what its daily range partitions are cut by, if any."""

    name: str
    kind: Kind
    key: str | None
    id_column: str | None


def load() -> Mapping[str, Table]:
    """Return the shipped manifest by table name."""
    return parse((files("smsgate.store") / "distribution.toml").read_text(encoding="utf-8"))


def parse(text: str) -> Mapping[str, Table]:
    """
    Return a manifest's tables.

    Raises:
        ValueError: a table has an unknown kind or field, or its key or id is missing.
    """
    return {name: _table(name, entry) for name, entry in tomllib.loads(text).items()}


def partitioned(tables: Mapping[str, Table]) -> tuple[Table, ...]:
    return tuple(table for table in tables.values() if table.id_column is not None)


def _table(name: str, entry: object) -> Table:
    if not isinstance(entry, dict) or not entry.keys() <= FIELDS:
        raise ValueError(f"{name}: a table's fields are {sorted(FIELDS)}")
    kind, key, by, id_column = (entry.get(field) for field in ("kind", "key", "partitioned", "id"))
    if kind not in KINDS:
        raise ValueError(f"{name}: kind is one of {KINDS}, not {kind!r}")
    if (kind == "distributed") != isinstance(key, str):
        raise ValueError(f"{name}: a distributed table, and no other, has a key")
    if by not in {None, "day"} or (by == "day") != isinstance(id_column, str):
        raise ValueError(f'{name}: partitioned = "day" goes with id, the column of the ranges')
    return Table(name, cast("Kind", kind), key, id_column)
