"""Columns whose values are mostly alike: what is asked once for each value, and not once for each row."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def is_same(column: Sequence[object]) -> bool:
    """Return whether all of a column, which is not empty, are one value; told mostly by its ends."""
    first = column[0]
    return first == column[-1] and column.count(first) == len(column)


def of_each(column: Sequence[K], values: Mapping[K, V]) -> list[V]:
    """Return what each value of a column has; `values` knows those of the column and no others."""
    if len(values) == 1:
        return [*values.values()] * len(column)
    return [*map(values.__getitem__, column)]


def made_of_each(column: Sequence[K], make: Callable[[K], V]) -> list[V]:
    """Return what `make` makes of each value of a column; it is called once for equal ones."""
    return of_each(column, {value: make(value) for value in set(column)})
