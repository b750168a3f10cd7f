"""Which message an id of an SMSC stands for, as long as its receipt is awaited in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, cast

from smsgate.flows.batches import SLOT_BITS, Batch, index_of
from smsgate.flows.runs import runs_of
from smsgate.protocol.message_ids import fold, folded_differs
from smsgate.protocol.receipt_states import FINAL

# Accepted messages whose receipt is awaited in memory, of all carriers: about 130 octets each, so 65 MB at
# most. The oldest of the carrier with the most go first; their receipts are matched in the database
# instead (receipt_unmatched).
REFERENCES_MAX: Final = 500_000

_Key = tuple[int, bytes]  # carrier, message id
_Slots = dict[bytes, int]  # message id -> slot, of one carrier


# (merchant, campaign, message id, part, repeated, reported, charges): a plain tuple, for there is one per
# receipt. `part`: of a long text, from 1. `repeated`: an intermediate state that this message has had; it
# changes nothing. `reported`: an ESME submitted it. `charges`: a final receipt says whether it is charged.
Reference = tuple[int, int | None, int, int, bool, bool, bool]


class _Origin:
    """What a receipt needs of its batch; lives while receipts of the batch are awaited."""

    __slots__ = ("awaited", "campaign_id", "charges", "merchant_id", "message_ids", "numbers", "reported")

    def __init__(self, batch: Batch) -> None:
        self.merchant_id = batch.merchant_id
        self.campaign_id = batch.campaign_id
        self.message_ids = batch.message_ids
        self.numbers = None if batch.parts is None else batch.parts.numbers
        self.reported = batch.bodies is not None
        self.charges = bool(batch.delivered)
        self.awaited = 0

    def is_special(self) -> bool:
        """Return whether more hangs on a receipt than its message's state."""
        return self.reported or self.charges or self.numbers is not None


class Found(NamedTuple):
    """Receipts of one read that belong to one batch, in their order."""

    merchant_id: int
    campaign_id: int | None
    message_ids: list[int]


class References:
    """Message ids of SMSCs to slots, for receipts; the newest message wins a reused id."""

    def __init__(self, entries_max: int = REFERENCES_MAX) -> None:
        self._entries_max = entries_max
        # By carrier: a number and octets together would be one more object, and a dearer hash, a message.
        self._slots: dict[int, _Slots] = {}
        # Folded id -> the ids as received; only of those that differ from their folded form.
        self._spellings: dict[_Key, tuple[bytes, ...]] = {}
        self._told: dict[int, int] = {}  # slot -> intermediate states that it had, as bits
        self._origins: dict[int, _Origin] = {}
        self.added = 0  # since the start

    def __len__(self) -> int:
        return sum(map(len, self._slots.values()))

    def add(self, batch: Batch, smsc_ids: Sequence[bytes], slots: Sequence[int]) -> None:
        """Await receipts; a message whose response had no id gets none."""
        if b"" in smsc_ids:
            pairs = [(smsc_id, slot) for smsc_id, slot in zip(smsc_ids, slots, strict=True) if smsc_id]
            smsc_ids, slots = [smsc_id for smsc_id, _ in pairs], [slot for _, slot in pairs]
            if not pairs:
                return
        origin = self._origins.get(batch.handle)
        if origin is None:
            origin = self._origins[batch.handle] = _Origin(batch)
        origin.awaited += len(slots)
        self.added += len(slots)
        carrier_id = batch.carrier_id
        known = self._slots.setdefault(carrier_id, {})
        fresh = dict(zip(smsc_ids, slots, strict=True))
        if len(fresh) == len(slots) and known.keys().isdisjoint(fresh):
            known.update(fresh)
        else:  # ids come again
            for smsc_id, slot in zip(smsc_ids, slots, strict=True):
                if smsc_id in known:
                    self._end(carrier_id, smsc_id, known.pop(smsc_id))
                known[smsc_id] = slot
        if folded_differs(smsc_ids):
            self._add_spellings(carrier_id, smsc_ids)
        for _ in range(len(self) - self._entries_max):
            full_id, full = max(self._slots.items(), key=lambda each: len(each[1]))
            oldest = next(iter(full))
            self._end(full_id, oldest, full.pop(oldest))

    def find(self, carrier_id: int, smsc_id: bytes, state: int) -> Reference | None:
        """Return whose receipt of this state it is, by the id as received; a final one ends the wait."""
        known = self._slots.get(carrier_id)
        slot = None if known is None else known.get(smsc_id)
        if known is None or slot is None:
            return None
        origin = self._origins[slot >> SLOT_BITS]
        repeated = False
        if state in FINAL:
            del known[smsc_id]
            self._end(carrier_id, smsc_id, slot)
        else:
            had = self._told.get(slot, 0)
            repeated = bool(had >> state & 1)
            self._told[slot] = had | 1 << state
        index = index_of(slot)
        part = 1 if origin.numbers is None else origin.numbers[index]
        message_id = origin.message_ids[index]
        merchant_id, campaign_id = origin.merchant_id, origin.campaign_id
        return merchant_id, campaign_id, message_id, part, repeated, origin.reported, origin.charges

    def find_all(self, carrier_id: int, smsc_ids: Sequence[bytes]) -> list[Found] | None:
        """
        Return whose final receipts these are, in order, and end the wait for them; by runs of one batch.

        None, and nothing is changed: one of them needs a look of its own, by `find`.
        """
        known, origins = self._slots.get(carrier_id), self._origins
        if known is None or self._spellings or self._told:
            return None
        slots = [*map(known.get, smsc_ids)]
        distinct = set(slots)
        if len(distinct) < len(slots) or None in distinct:
            return None
        runs = runs_of(cast("list[int]", slots))
        if any(origins[handle].is_special() for handle, _ in runs):
            return None
        for smsc_id in smsc_ids:
            del known[smsc_id]
        found: list[Found] = []
        for handle, run in runs:
            origin, first = origins[handle], handle << SLOT_BITS
            ids = origin.message_ids
            found.append(Found(origin.merchant_id, origin.campaign_id, [ids[slot - first] for slot in run]))
            origin.awaited -= len(run)
            if origin.awaited == 0:
                del origins[handle]
        return found

    def of(self, carrier_id: int) -> KnownIds:
        """Return the ids of one carrier, for receipts that spell them in another way."""
        return KnownIds(carrier_id, self._slots.setdefault(carrier_id, {}), self._spellings)

    def _add_spellings(self, carrier_id: int, smsc_ids: Sequence[bytes]) -> None:
        spellings = self._spellings
        for smsc_id in smsc_ids:
            folded = fold(smsc_id)
            if folded != smsc_id:
                others = spellings.get((carrier_id, folded), ())
                if smsc_id not in others:
                    spellings[carrier_id, folded] = (*others, smsc_id)

    def _end(self, carrier_id: int, smsc_id: bytes, slot: int) -> None:
        if self._spellings:
            folded = (carrier_id, fold(smsc_id))
            left = tuple(each for each in self._spellings.pop(folded, ()) if each != smsc_id)
            if left:
                self._spellings[folded] = left
        if self._told:
            self._told.pop(slot, None)
        origin = self._origins[slot >> SLOT_BITS]
        origin.awaited -= 1
        if origin.awaited == 0:
            del self._origins[slot >> SLOT_BITS]


class KnownIds:
    """Implements `protocol.message_ids.Known`; what is found is the id as its response had it."""

    __slots__ = ("_carrier_id", "_slots", "_spellings")

    def __init__(self, carrier_id: int, slots: _Slots, spellings: dict[_Key, tuple[bytes, ...]]) -> None:
        self._carrier_id = carrier_id
        self._slots = slots
        self._spellings = spellings

    def exact(self, message_id: bytes) -> bytes | None:
        return message_id if message_id in self._slots else None

    def folded(self, message_id: bytes) -> bytes | None:
        found = self._spellings.get((self._carrier_id, message_id), ())
        if message_id in self._slots:
            found = (*found, message_id)
        return found[0] if len(found) == 1 else None
