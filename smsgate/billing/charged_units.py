"""
What of prices and months is charged, and neither given back nor credited by hand.

There are two ways to give back, by message and by line of an invoice, and nothing says which messages a
credit by hand was of. So units are counted: both ways together give back at most what was charged.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from smsgate.billing.documents import LineKind

if TYPE_CHECKING:
    from smsgate.billing.documents import LineTerms
    from smsgate.billing.periods import Month


@dataclass(slots=True)
class ChargedUnits:
    """
    Segments with the signs of the ledger.

    `billed` is what closes have billed, `credited` what credits by hand took, by the terms of their lines.
    `recorded` is what the ledger has, by item and month: charges less reversals, on a document or not.
    `minimums`, in micro-units by month, is what of minimums was billed, and neither given back by a later
    document nor credited by hand.
    """

    billed: Counter[LineTerms] = field(default_factory=Counter)
    credited: Counter[LineTerms] = field(default_factory=Counter)
    recorded: Counter[tuple[int, Month]] = field(default_factory=Counter)
    minimums: Counter[Month] = field(default_factory=Counter)

    def credited_of(self, item_id: int, origin: Month) -> int:
        return sum(
            quantity
            for terms, quantity in self.credited.items()
            if terms.item_id == item_id and terms.origin == origin
        )

    def left(self, terms: LineTerms) -> int:
        """
        Return what can still be credited at the terms of a line of usage; never below zero.

        Late charges that no document has yet are no reason to credit more: they may be given back themselves.
        """
        item = terms.item_id, terms.origin
        return max(
            0,
            min(
                self.billed[terms] - self.credited[terms],
                self.recorded[item] - self.credited_of(*item),
            ),
        )

    def take(self, terms: LineTerms, quantity: int) -> int:
        """Credit at most `quantity`, and return how much; what a line gave back is charged again whole."""
        if terms.kind is LineKind.COMMITMENT:
            return self._take_minimum(terms, quantity)
        if terms.kind is not LineKind.USAGE:
            return quantity
        taken = min(quantity, self.left(terms)) if quantity > 0 else quantity
        self.credited[terms] += taken
        return taken

    def _take_minimum(self, terms: LineTerms, quantity: int) -> int:
        """A minimum is one line, which is credited as a whole: none of it where a part was given back."""
        micros = quantity * terms.unit_micros
        if micros > self.minimums[terms.origin]:
            return 0
        self.minimums[terms.origin] -= micros
        return quantity
