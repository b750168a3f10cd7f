"""The simulated SMSC with faults switched on: slower, since it takes every PDU by itself, and replayable."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final, cast

from smsgate.clock import Clock
from smsgate.protocol.columns import submit_responses
from smsgate.protocol.commands import Status
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.protocol.tlvs import Tag, encode_tlvs
from smsgate.simulator.faults import Faults
from smsgate.simulator.faulty_connection import FaultyConnection
from smsgate.simulator.faulty_mos import mo_bodies
from smsgate.simulator.faulty_receipts import Ids, receipts_of, wanted
from smsgate.simulator.faulty_texts import broken_rule, to_handset
from smsgate.simulator.mobile_originated import Mo, MoPart
from smsgate.simulator.smsc import Delivered, Smsc
from smsgate.simulator.smsc_settings import ID_FORMS, IdForm, SmscSettings

if TYPE_CHECKING:
    from smsgate.simulator.account import Account
    from smsgate.simulator.connection import SmscConnection
    from smsgate.simulator.submits import Submits

ORIGINS_MAX: Final = 100_000  # messages whose bind is remembered until their receipt
ANSWERED_MAX: Final = 100_000  # phones that are known to have answered; others answer every time
CYCLE_BEGINS: Final = 7_000_001  # ids that come again: no two of them are one number in two bases
OPTIMUM: Final = 85  # congestion_state at the rated capacity: SMPP 5.0 §4.8.4.18 calls 80 to 89 optimum
NEAR: Final = 90
FULL: Final = 100
MO_AGAIN_S: Final = 0.2  # until an MO that was answered comes once more


class FaultySmsc(Smsc):
    """
    `injected` counts faults by their switch; `client` counts what the ESME did about them.

    `enquiry_s_max` is the longest that an enquire_link of a flood waited for its answer.
    """

    def __init__(
        self,
        settings: SmscSettings,
        rng: random.Random,
        *,
        clock: Clock | None = None,
        on_delivered: Delivered | None = None,
    ) -> None:
        self.faults: Faults = settings.faults
        if self.faults.account_rate_per_s:
            settings.accounts = tuple(
                replace(account, rate_per_s=self.faults.account_rate_per_s) for account in settings.accounts
            )
        super().__init__(settings, rng, clock=clock, on_delivered=on_delivered)
        self.injected: Counter[str] = Counter()
        self.client: Counter[str] = Counter()
        self.enquiry_s_max = 0.0
        self.ends_left = self.faults.end_times or 1 << 62
        self._first_octets = iter(self.faults.first_octets)
        self._refusals = cycle(self.faults.refuse_statuses)
        self._window_refusals = cycle(self.faults.window_statuses or (0,))
        self._bound_until = 0.0
        self._turns = 0
        self._taken = 0
        self._queue = 0.0  # messages that wait for the SMSC's own capacity
        self._queue_at = 0.0
        self._recent: deque[float] = deque()  # when the submit_sm of the last second came
        self._answered: set[tuple[bytes, bytes]] = set()  # senders and the phones that wrote to them
        self._origins: dict[int, SmscConnection] = {}

    def note(self, fault: str) -> None:
        self.injected[fault] += 1

    def note_client(self, deed: str) -> None:
        self.client[deed] += 1

    def note_enquiry(self, waited_s: float) -> None:
        self.client["enquire_links_answered"] += 1
        self.enquiry_s_max = max(self.enquiry_s_max, waited_s)

    def stats(self) -> dict[str, Any]:
        return {
            **super().stats(),
            "faults": dict(sorted(self.injected.items())),
            "client": {**dict(sorted(self.client.items())), "enquiry_s_max": round(self.enquiry_s_max, 4)},
        }

    # -- sessions

    def next_first_octets(self) -> bytes:
        return next(self._first_octets, b"")

    def keep_bound(self, seconds: float) -> None:
        """Believe for so long that a lost session is there still."""
        self._bound_until = asyncio.get_running_loop().time() + seconds

    def refuses_bind(self, interface_version: int) -> int:
        """Return the command_status of a refusal, or 0."""
        if asyncio.get_running_loop().time() < self._bound_until:
            self.note("already_bound")
            return Status.ALYBND
        if self.faults.interface_versions and interface_version not in self.faults.interface_versions:
            self.note("version_refused")
            return Status.BINDFAIL
        return 0

    def ended(self, how: str) -> None:
        self.ends_left -= 1
        self.note(f"end_{how}")

    def congestion_tlv(self) -> bytes:
        if not self.faults.capacity_per_s:
            return b""
        return encode_tlvs(((Tag.CONGESTION_STATE, bytes((self._congestion(),))),))

    # -- what the parent asks

    def _connection(self, number: int) -> SmscConnection:
        return FaultyConnection(self, number)

    def _new_ids(self, total: int) -> list[int]:
        numbers = super()._new_ids(total)
        if not self.faults.id_cycle:
            return numbers
        first = self.settings.first_message_id or CYCLE_BEGINS
        return [first + (self._taken + i) % self.faults.id_cycle for i in range(total)]

    def _refuse(self, connection: SmscConnection, submits: Submits) -> None:
        faulty = cast("FaultyConnection", connection)
        for i in range(len(submits)):  # one, unless an ESME outran its own bind
            self._taken += 1
            self._change_rate(faulty)
            if not submits.statuses[i]:
                submits.statuses[i] = self._status_of(faulty)
        super()._refuse(connection, submits)
        self._taken_now(submits.statuses.count(0))
        if self.faults.receipt_for_refused:
            self._refused_receipts(faulty, submits)

    def _refusal(self) -> int:
        return next(self._refusals, self.settings.refuse_status)

    def _answer(self, connection: SmscConnection, submits: Submits) -> None:
        """Write, keep or delay the submit_sm_resp of each row."""
        faults, faulty = self.faults, cast("FaultyConnection", connection)
        form = ID_FORMS[self.settings.message_id_form]
        for i, number in enumerate(submits.numbers):
            status = submits.statuses[i]
            if self._draw(faults.unanswered_share):
                self.note("unanswered")
                faulty.answered += 1
                continue
            (octets,) = [submit_responses([number], [status], [form % submits.message_ids[i]])]
            if not status and self._draw(faults.id_lost_share):
                self.note("id_lost")
                octets = octets[:3] + b"\x10" + octets[4:16]
            delay_s = self.settings.response_latency_s + faults.receipt_lead_s
            if self._draw(faults.late_share):
                self.note("late")
                delay_s += self._rng.uniform(*faults.late_s)
            if delay_s:
                self.timetable.after(delay_s, partial(faulty.answer_submit, octets))
            else:
                faulty.answer_submit(octets)
            if len(self._origins) < ORIGINS_MAX and faults.receipt_other_bind:
                self._origins[submits.message_ids[i]] = connection

    def _send_receipts(self, account: Account, submits: Submits, states: Sequence[int]) -> None:
        for row, state in enumerate(states):
            if not wanted(submits.registered[row], state):
                continue
            bodies = self._receipts(submits, row, state)
            if not self._went_elsewhere(account, self._origins.pop(submits.message_ids[row], None), bodies):
                account.put_receipts(bodies)

    def _deliver(self, account: Account, submits: Submits) -> None:
        for i, octets in enumerate(submits.texts):
            submits.texts[i], submits.data_codings[i], submits.esm_classes[i] = to_handset(
                octets, submits.data_codings[i], submits.esm_classes[i], self.faults
            )
        super()._deliver(account, submits)
        if self.faults.mo_answer:
            for row, destination in enumerate(submits.destinations):
                smsc_id = ID_FORMS[self.settings.message_id_form] % submits.message_ids[row]
                sender = submits.sources[row]
                asked = (sender, destination)
                if sender.removeprefix(b"+").isdigit() and asked not in self._answered:
                    if len(self._answered) < ANSWERED_MAX:
                        self._answered.add(asked)
                    text = self.faults.mo_answer.format(id=smsc_id.decode("ascii"))
                    self.send_mo(int(destination), sender.decode("ascii"), text)

    def _bring(self, account: Account, mo: Mo) -> None:
        mo.bodies = mo_bodies(mo, self.faults)
        self._bring_parts(account, [MoPart(mo, body) for body in mo.bodies])

    def mo_taken(self, mo: Mo, connection: SmscConnection) -> None:
        super().mo_taken(mo, connection)
        copies = len(mo.statuses) // len(mo.bodies)
        if copies < self.faults.mo_copies and connection.account is not None:
            self.note("mo_again")
            parts = [MoPart(mo, body) for body in mo.bodies]
            again = partial(self._bring_parts, connection.account, parts)
            self.timetable.after(MO_AGAIN_S, again)

    # -- inside

    def _draw(self, share: float) -> bool:
        return bool(share) and self._rng.random() < share

    def _status_of(self, connection: FaultyConnection) -> int:
        status = connection.refuses_submit()
        judged = self.faults.rules or self.faults.alphabet != "gsm"
        if not status and connection.frame is not None and judged:
            status = broken_rule(connection.frame, self.faults)
        window_max = self.faults.window_max
        if not status and window_max and connection.submits - connection.answered > window_max:
            self.note("window_exceeded")
            status = next(self._window_refusals)
        if not status and self.faults.capacity_per_s and self._congestion() >= FULL:
            self.note("congested")
            status = Status.THROTTLED
        return status

    def _congestion(self) -> int:
        now = asyncio.get_running_loop().time()
        while self._recent and self._recent[0] <= now - 1.0:
            self._recent.popleft()
        capacity_per_s = self.faults.capacity_per_s
        if self._queued_at(now) >= 1.0:
            return min(FULL, NEAR + int(self._queue) * (FULL - NEAR) // capacity_per_s)
        return min(NEAR - 1, len(self._recent) * OPTIMUM // capacity_per_s)

    def _queued_at(self, now: float) -> float:
        """Return how many messages wait for the SMSC's own capacity; it keeps a second's worth."""
        passed_s, self._queue_at = now - self._queue_at, now
        self._queue = max(0.0, self._queue - passed_s * self.faults.capacity_per_s)
        return self._queue

    def _taken_now(self, total: int) -> None:
        if self.faults.capacity_per_s:
            now = asyncio.get_running_loop().time()
            self._recent.extend([now] * total)
            self._queue = self._queued_at(now) + total

    def _change_rate(self, connection: FaultyConnection) -> None:
        change = self.faults.late_rate
        if change is not None and self._taken == change.after and connection.account is not None:
            self.note("late_rate")
            connection.account.account = replace(connection.account.account, rate_per_s=change.rate_per_s)

    def _receipts(self, submits: Submits, row: int, state: int) -> list[bytes]:
        settings, number = self.settings, submits.message_ids[row]
        text_form = settings.receipt_id_form or settings.message_id_form
        tlv_form = cast("IdForm", self.faults.tlv_id_form or text_form)
        ids = Ids(ID_FORMS[text_form] % number, ID_FORMS[tlv_form] % number)
        turn = self._turns
        self._turns += 1
        return list(receipts_of(submits, row, state, ids, self.faults, self._clock.now(), turn))

    def _refused_receipts(self, connection: FaultyConnection, submits: Submits) -> None:
        account = connection.account
        assert account is not None
        rows = [i for i, status in enumerate(submits.statuses) if status and submits.destinations[i]]
        if not rows:
            return
        submits.message_ids = self._new_ids(len(submits))
        bodies = [body for row in rows for body in self._receipts(submits, row, ReceiptState.UNDELIV)]
        self.injected["receipts_for_refused"] += len(bodies)
        self.timetable.after(self.settings.response_latency_s, partial(account.put_receipts, bodies))

    def _went_elsewhere(
        self, account: Account, origin: SmscConnection | None, bodies: Sequence[bytes]
    ) -> bool:
        """Write receipts on another bind than the one that submitted."""
        if origin is None:
            return False
        others = [each for each in account.connections if each is not origin]
        if any(cast("FaultyConnection", other).deliver_here(bodies) for other in others):
            self.injected["receipts_elsewhere"] += len(bodies)
            return True
        return False

    def _bring_parts(self, account: Account, parts: list[MoPart]) -> None:
        if self.faults.mo_shuffled:
            self._rng.shuffle(parts)
        if self.faults.mo_over_binds:
            readers = [each for each in account.connections if each.reads and each.room() > 0]
            if len(readers) > 1:
                for i, part in enumerate(parts):
                    readers[i % len(readers)].deliver([part])
                self.note("mo_over_binds")
                return
        account.put_parts(parts)
