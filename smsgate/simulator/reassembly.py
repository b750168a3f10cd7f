"""
Long texts put together again as a phone does it: in memory, parts in any order, within bounds.

Nothing is lost: a set that cannot be finished (time-out, limits, a reference used again) comes out as it
stands, marked incomplete, with the tokens of its parts. Time is an argument, in seconds that never go back.
The gateway keeps the parts of long MOs in its database instead (`store/inbound.py`).
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import groupby
from typing import Final, Generic, NamedTuple, TypeVar

from smsgate.protocol.mo_text import MoText, decode_text

TIMEOUT_S: Final = (
    30.0  # a person waits for the answer; carriers deliver the parts of one text within seconds
)
SETS_PER_SOURCE_MAX: Final = 64  # one sender may not push out the sets of others
SETS_MAX: Final = 10_000  # per account
OCTETS_MAX: Final = 16 * 1024 * 1024  # per account, user data of all open sets
_PART_OVERHEAD_OCTETS: Final = (
    256  # what Python spends on a part besides its octets, so that empty parts count too
)

Token = TypeVar("Token")
_Key = tuple[str, str, int, int, int]


class Joined(NamedTuple, Generic[Token]):
    """
    A text, with the tokens of its parts in the order of their index.

    `missing` names the parts that never came.
    """

    text: str
    source: str
    destination: str
    tokens: tuple[Token, ...]
    missing: tuple[int, ...]

    @property
    def complete(self) -> bool:
        return not self.missing


class _Set(Generic[Token]):
    __slots__ = ("octets", "opened_at", "parts")

    def __init__(self, opened_at: float) -> None:
        self.opened_at = opened_at
        self.octets = 0
        self.parts: dict[int, tuple[bytes, str, Token]] = {}


class Reassembly(Generic[Token]):
    """The open sets of one account. `Token` is whatever the caller needs to find its part again."""

    def __init__(
        self,
        *,
        timeout_s: float = TIMEOUT_S,
        sets_per_source_max: int = SETS_PER_SOURCE_MAX,
        sets_max: int = SETS_MAX,
        octets_max: int = OCTETS_MAX,
    ) -> None:
        self._timeout_s = timeout_s
        self._sets_per_source_max = sets_per_source_max
        self._sets_max = sets_max
        self._octets_max = octets_max
        self._sets: OrderedDict[_Key, _Set[Token]] = OrderedDict()  # oldest first
        self._by_source: dict[str, OrderedDict[_Key, None]] = {}
        self._octets = 0

    def __len__(self) -> int:
        return len(self._sets)

    @property
    def octets(self) -> int:
        return self._octets

    def add(self, source: str, destination: str, mo: MoText, token: Token, now: float) -> list[Joined[Token]]:
        """
        Take one MO; return the texts that are ready now: usually none or one.

        A part that came twice with the same octets is the carrier's repetition: its token joins no text,
        and the
        caller answers it as it is. The same index with other octets means that the reference is used again:
        the old
        set comes out incomplete.
        """
        if mo.concat is None:
            return [Joined(mo.text, source, destination, (token,), ())]
        concat = mo.concat
        key = (source, destination, concat.ref, concat.total, concat.width)
        out: list[Joined[Token]] = []
        open_set = self._sets.get(key)
        if open_set is not None and concat.index in open_set.parts:
            if open_set.parts[concat.index][0] == mo.user_data:
                return []
            out.append(self._take(key))
            open_set = None
        if open_set is None:
            open_set = self._open(key, now)
        open_set.parts[concat.index] = (mo.user_data, mo.codec, token)
        cost = len(mo.user_data) + _PART_OVERHEAD_OCTETS
        open_set.octets += cost
        self._octets += cost
        if len(open_set.parts) == concat.total:
            out.append(self._take(key))
        return [*out, *self._evict(source)]

    def deadline(self) -> float | None:
        """Return when `handle_deadline` must be called next, if ever."""
        if not self._sets:
            return None
        return next(iter(self._sets.values())).opened_at + self._timeout_s

    def handle_deadline(self, now: float) -> list[Joined[Token]]:
        """Return what came of the sets whose time is over, oldest first."""
        out: list[Joined[Token]] = []
        while (deadline := self.deadline()) is not None and deadline <= now:
            out.append(self._take(next(iter(self._sets))))
        return out

    def drain(self) -> list[Joined[Token]]:
        """Return everything that is open: the process ends."""
        return [self._take(key) for key in list(self._sets)]

    def _open(self, key: _Key, now: float) -> _Set[Token]:
        opened: _Set[Token] = _Set(now)
        self._sets[key] = opened
        self._by_source.setdefault(key[0], OrderedDict())[key] = None
        return opened

    def _evict(self, source: str) -> list[Joined[Token]]:
        out: list[Joined[Token]] = []
        while len(own := self._by_source.get(source, OrderedDict())) > self._sets_per_source_max:
            out.append(self._take(next(iter(own))))
        while self._sets and (len(self._sets) > self._sets_max or self._octets > self._octets_max):
            out.append(self._take(next(iter(self._sets))))
        return out

    def _take(self, key: _Key) -> Joined[Token]:
        taken = self._sets.pop(key)
        self._octets -= taken.octets
        own = self._by_source[key[0]]
        del own[key]
        if not own:
            del self._by_source[key[0]]
        source, destination, _ref, total, _width = key
        ordered = [taken.parts[index] for index in sorted(taken.parts)]
        return Joined(
            text=_join(ordered),
            source=source,
            destination=destination,
            tokens=tuple(token for _octets, _codec, token in ordered),
            missing=tuple(index for index in range(1, total + 1) if index not in taken.parts),
        )


def _join(parts: list[tuple[bytes, str, Token]]) -> str:
    """Join octets before decoding: some peers cut escape pairs and surrogate pairs in two."""
    return "".join(
        decode_text(b"".join(octets for octets, _codec, _token in run), codec)
        for codec, run in groupby(parts, key=lambda part: part[1])
    )
