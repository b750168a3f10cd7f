"""Proofs over the books: which rules hold on the stored data, and the first row that breaks one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from smsgate.errors import SmsgateError

# What each proof says; the names are those of docs/billing.md.
INVARIANTS: Final[dict[str, str]] = {
    "I1": "each posting sums to zero per currency",
    "I2": "message rows and ledger have the same messages, segments and amounts",
    "I3": "each amount is the price of its item x segments, and the item was in force",
    "I4": "published prices are as they were published",
    "I5": "nothing is charged twice, nor given back uncharged",
    "I6": "nothing is charged that the carrier did not take",
    "I7": "each line is quantity x unit price, rounded once",
    "I8": "net, VAT and gross follow from the lines, on the paper and beside it",
    "I9": "the ledger moved what documents say, and rounding is no more than half a minor unit a line",
    "I10": "numbers have no gaps and dates do not fall",
    "I11": "no more is credited than was billed",
    "I12": "a closed month has what was recorded before its cut, and no more",
    "I13": "prepaid: available, held and spent are what was paid in; invoices deduct what the ledger moved",
    "I14": "leases and what was spent are within the cap",
    "I15": "documents are chained to those before them",
    "I16": "counters are what the ledger makes of them",
    "I17": "exported files have the sums of the ledger and of the documents",
    "I20": "documents make the files that were handed out",
}


# What the store does not see, and why it is not proved then.
UNPROVED: Final = {"I17": "no exported file was given", "I20": "--documents was not given"}

# What is no fault of the books, and is told.
LISTED: Final[dict[str, str]] = {
    "R8": "messages have final receipts that contradict the first one, which alone counts",
}


class Finding(NamedTuple):
    """`wrong` rows break the invariant; `first` names the first of them in words."""

    invariant: str
    wrong: int
    first: str | None


class Counts(NamedTuple):
    """
    What was looked at, of all merchants and months whose rows are kept.

    `messages` to phones, parts counted, whatever became of them; `charged` are those of them, and `replies`
    those from phones, that are charged and not given back: the rows of exports.
    """

    messages: int = 0
    charged: int = 0
    replies: int = 0


@dataclass(frozen=True, slots=True)
class Proof:
    """
    `counts` is what was looked at; `unproved` says what could not be judged, and why.

    `listed` is no fault: how many there are of each kind of `LISTED`, and the first.
    """

    findings: tuple[Finding, ...]
    counts: Counts
    unproved: dict[str, str]
    listed: tuple[Finding, ...] = ()

    @property
    def broken(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.wrong)

    @property
    def holds(self) -> bool:
        return not self.broken


class Looked(NamedTuple):
    """Of one snapshot: every proof's finding, what was looked at, and what `LISTED` names."""

    findings: Sequence[Finding]
    counts: Counts
    listed: Sequence[Finding]

    @property
    def broken(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.wrong]

    def hold(self) -> None:
        """
        Refuse books that do not hold.

        Raises:
            SmsgateError: a proof does not hold; the first is named.
        """
        for each in self.broken[:1]:
            raise SmsgateError(f"{each.invariant} does not hold in {each.wrong} rows: {each.first}")


class VerifyStore(Protocol):
    async def looked(self) -> Looked: ...


async def verify(store: VerifyStore, exports: Sequence[Finding] = ()) -> Proof:
    """Run every proof; `exports` are the findings about files, which the store does not see."""
    found, counts, listed = await store.looked()
    told = {finding.invariant for finding in exports}
    unproved = {name: why for name, why in UNPROVED.items() if name not in told}
    merged: dict[str, Finding] = {}
    for finding in (*found, *exports):
        known = merged.get(finding.invariant)
        if known is None:
            merged[finding.invariant] = finding
        else:
            merged[finding.invariant] = Finding(
                finding.invariant, known.wrong + finding.wrong, known.first or finding.first
            )
    ordered = [merged[name] for name in INVARIANTS if name in merged]
    return Proof(tuple(ordered), counts, unproved, tuple(listed))
