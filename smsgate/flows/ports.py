"""What the use cases ask of the world: narrow Protocols, implemented by `store` and `links`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Protocol

from smsgate.campaigns.caps import CapLimits
from smsgate.campaigns.guard import GuardLimits, GuardReason
from smsgate.campaigns.hours import Verdict
from smsgate.campaigns.offer_states import Drop
from smsgate.flows.records import (
    Ack,
    BindStatus,
    CampaignState,
    CarrierReceipts,
    ChunkClaim,
    ChunkKey,
    Flush,
    GuardedCampaign,
    InteractiveClaim,
    Lane,
    MobileOriginated,
    Pace,
    Recovery,
    Resolved,
    SubmittedClaim,
)
from smsgate.protocol.encodings import Alphabet
from smsgate.protocol.message_ids import ReceiptIds
from smsgate.protocol.segmentation import Concat


class Carrier(Protocol):
    """
    One carrier account: any number of binds behind one window and one rate.

    All methods are synchronous and cheap: they write to sockets' buffers, they never wait.
    """

    carrier_id: int
    name: str
    rate_per_s: int  # segments per second that the carrier allows
    cost_list: str | None  # name of the price list that says what the carrier charges us
    alphabets: tuple[Alphabet, ...]  # what its texts may be written in, in the order in which they are tried
    long_alphabets: tuple[Alphabet, ...]  # the same for texts of several segments
    concat: Concat  # how their parts are told
    retry_statuses: frozenset[int]  # command_status that means: not taken now, try again (throttling)
    unreachable_statuses: frozenset[int]  # command_status that means: this phone cannot be reached now
    unreachable_wait_s: float  # after which a system message goes again by itself
    receipt_ids: ReceiptIds  # how its receipts name their messages: told or learned
    reroute_statuses: frozenset[int]  # command_status that means: not by me, another carrier may
    opted_out_statuses: frozenset[int]  # command_status that means: the person opted out, at the carrier
    opted_out_errors: frozenset[bytes]  # errors of receipts that mean the same

    def room(self, lane: Lane) -> int:
        """Return how many segments may be written now: bound, window free, rate tokens, lane's share."""
        ...

    def room_at(self, lane: Lane) -> float | None:
        """Return the monotonic second at which the rate gives room again; None: not a question of time."""
        ...

    def bodies(
        self,
        sender: str,
        msisdns: Sequence[int],
        texts: Sequence[bytes],
        data_coding: int,
        esm_class: int = 0,
        tlvs: bytes = b"",
    ) -> list[bytes]:
        """
        Return one submit_sm body per recipient, in this carrier's profile (TON, NPI, validity, receipts).

        `texts` are encoded short_message octets; `data_coding` is 0 for the default alphabet (GSM, unpacked
        septets), 3 for Latin-1 where that is the default alphabet, or 8 for UCS-2, and is translated to what
        the profile says. With `esm_class` 0x40 each begins with a user data header. `tlvs` are the message's
        own, encoded: those whose tags this carrier lets through go before the profile's.
        """
        ...

    def submitted_bodies(
        self, sender: str, msisdns: Sequence[int], bodies: Sequence[bytes], expires_at: datetime
    ) -> list[bytes]:
        """
        Return one submit_sm body per recipient of what ESMEs submitted, in this carrier's profile.

        `bodies` are submit_sm bodies without addresses; their octets are not changed.
        """
        ...

    def submit(
        self, bodies: Sequence[bytes], slots: Sequence[int], lane: Lane, segments: Sequence[int] = ()
    ) -> int:
        """
        Write submit_sm bodies in order and return how many were taken (the first n).

        `segments` says what each body makes on the air, for the rate; empty: one each.
        `slots` are the caller's integers; each taken slot comes back exactly once, in `answered` or
        in `in_doubt` of `CarrierEvents`.
        """
        ...

    def acknowledge(self, acks: Sequence[Ack], status: int = 0) -> None:
        """Write deliver_sm_resp for `acks`, one write per session; call it after the commit."""
        ...

    def stop_submitting(self) -> None:
        """Give no room from now on: the process is draining."""
        ...

    def down_since(self) -> float | None:
        """Return since which monotonic second nothing can be written to it; None: it is up."""
        ...

    def in_flight(self) -> int:
        """Return how many submit_sm wait for their response."""
        ...

    def binds(self) -> Sequence[BindStatus]: ...


class CarrierEvents(Protocol):
    """What links tell the flows; called from the event loop, must not block."""

    def answered(self, slots: Sequence[int], statuses: Sequence[int], smsc_ids: Sequence[bytes]) -> None:
        """submit_sm_resp of one read, as columns; one `room_changed` follows for the whole read."""
        ...

    def in_doubt(self, carrier_id: int, slots: Sequence[int]) -> None:
        """No answer in time, or the session was lost: whether the SMSC took them is unknown."""
        ...

    def receipts(self, receipts: CarrierReceipts) -> None: ...

    def delivered(self, mo: MobileOriginated) -> None: ...

    def reachable(self, carrier_id: int, msisdn: int) -> None:
        """alert_notification: this phone can be reached again."""
        ...

    def room_changed(self, carrier_id: int) -> None:
        """There may be room now: a bind came up, answers freed the window."""
        ...


class Split(Protocol):
    """Which recipients of a chunk go together."""

    def __call__(self, msisdns: Sequence[int], ported: Mapping[int, str]) -> list[list[int]] | None:
        """Return the places of each group, every place once; None: all together."""
        ...


class MarketingGates(Protocol):
    """What may hold marketing back (flows.gates)."""

    caps: CapLimits

    def hours(self, place: str, at: datetime) -> Verdict | None:
        """Return what the hours say of a place's key (`campaigns.hours.Place`); None: none are kept."""
        ...


class SendingStore(Protocol):
    """The bulk path's statements."""

    async def campaign_states(self, known: Sequence[tuple[int, int]]) -> list[CampaignState]:
        """Return the states of the `known` (merchant, campaign)."""
        ...

    async def claimable(
        self, senders: Collection[str], now: datetime, *, over_at: datetime
    ) -> list[CampaignState]:
        """
        Return campaigns that a chunk can be claimed for now, a bounded number of each merchant's.

        They go out by one of `senders`, or nobody may send them any more: they end at `over_at` or before.
        """
        ...

    async def claim_chunks(
        self,
        merchant_id: int,
        campaign_ids: Sequence[int],
        *,
        owner: int,
        allowance_step: int,
        now: datetime,
        gates: MarketingGates,
        senders: Collection[str],
        splits: Mapping[int, Split],
    ) -> list[ChunkClaim]:
        """
        Take one ready chunk of each campaign, write the message rows, commit; none: nothing is ready.

        All of them together may be written as far as `allowance_step` messages. What would go by a number of
        an offer's pool that is none of `senders` waits. A chunk that is claimed for
        the first time becomes as many chunks as its campaign's entry of `splits` says: each is written to by
        one carrier, at its own pace.
        """
        ...

    async def release_chunks(self, chunks: Mapping[ChunkKey, int | None], *, owner: int) -> None:
        """Give chunks back with their borders (None: as it is); what has no outcome yet is claimed again."""
        ...

    async def finish_campaigns(self, now: datetime) -> list[tuple[int, int]]:
        """Finish sending campaigns with no open chunk, with their event; return (merchant, campaign)."""
        ...

    async def paces(self, campaigns: Sequence[tuple[int, int]]) -> list[Pace]:
        """Return the paces of those campaigns (merchant, campaign) that send."""
        ...

    async def take_pace(self, pace: Pace, until: datetime) -> bool:
        """Commit the next `paced_until`; False: another process was first, or the pace has changed."""
        ...

    async def guarded(self, limits: GuardLimits) -> list[GuardedCampaign]:
        """Return campaigns that send and had stops or failures; `limits` are of those without."""
        ...

    async def pause_guarded(self, campaign: GuardedCampaign, reason: GuardReason, now: datetime) -> bool:
        """Pause it and write `campaign.paused`; False: somebody else did, or it is over."""
        ...

    async def claim_interactive(
        self, *, owner: int, limit: int, senders: Sequence[str], now: datetime
    ) -> list[InteractiveClaim]:
        """Take up to `limit` waiting system messages from `senders`, or from any past their time."""
        ...

    async def refused_messages(self, merchant_id: int, message_ids: Sequence[int]) -> AbstractSet[int]:
        """Return which of these texts must not go any more: refused since, or of a person who was erased."""
        ...

    async def claim_submitted(
        self, *, owner: int, limit: int, senders: Sequence[str], now: datetime, marketing: bool
    ) -> list[SubmittedClaim]:
        """
        Take up to `limit` waiting messages of ESMEs, as `claim_interactive` does; accounts take turns.

        They are those of marketing accounts, or those of all others.
        """
        ...

    async def release_interactive(self, messages: Sequence[tuple[int, int]], *, owner: int) -> None:
        """Give back (merchant, message) that were taken and never written."""
        ...

    async def release_forgotten(
        self, chunks: AbstractSet[ChunkKey], messages: AbstractSet[tuple[int, int]], *, owner: int
    ) -> tuple[int, int]:
        """
        Give back what `owner` holds by the database and not by its books: a commit was not seen.

        Nothing of it was written. Returns how many chunks and system messages these were.
        """
        ...

    async def flush(self, flush: Flush, *, owner: int) -> set[ChunkKey]:
        """
        Commit everything in one transaction, once per `flush.number` of this owner.

        Returns those of `flush.chunks` that another owner took over: their allowance did not grow, and
        what was not sent of them is the other owner's to decide.
        """
        ...

    async def unmatched_carriers(self, now: datetime) -> list[int]:
        """Return the carriers, configured or not any more, with receipts that are to be matched now."""
        ...

    async def resolve_unmatched(
        self, carrier_id: int, ids: ReceiptIds, limit: int, now: datetime
    ) -> Resolved:
        """Match receipts that came before or without their message in memory; `ids` may learn from them."""
        ...

    async def recover(self, *, segments_of: Callable[[str, str | bytes], int], now: datetime) -> Recovery:
        """
        Settle what dead owners left (in doubt becomes unknown, the rest is ready again) and cancels.

        `segments_of(sender, body)` says what a system message counts for of which nobody knows an outcome.
        """
        ...


class CarrierDesk(Protocol):
    """What an operator does to one carrier while the process runs."""

    def state(self, name: str) -> str:
        """Return "running", "draining" or "stopped"."""
        ...

    async def operate(self, name: str, action: str) -> str:
        """Do "drain", "stop" or "start", and return the state then. Raises NotFound."""
        ...


class StopSet(Protocol):
    """STOPs of the last hours, looked at after the claim and before the octets exist."""

    overflowed: int  # grows when STOPs were forgotten before their time: consent read earlier is void

    def add(self, whose: int | str, msisdn: int, now: float, *, marketing: bool = True) -> None:
        """Hold offers of a merchant (id) or from a sender number (text); not `marketing`: another consent."""
        ...

    def hold(self, sender: str, msisdn: int, now: float) -> None:
        """Hold everything that a person may refuse from a sender number, until its STOP is decided."""
        ...

    def release(self, sender: str, msisdn: int) -> None:
        """End what `hold` began, and nothing that was decided."""
        ...

    def forget_old(self, now: float) -> None:
        """Forget STOPs whose time is over; `now` in monotonic seconds."""
        ...

    def held(self, whose: int | str) -> Mapping[int, float]:
        """Return when each number's last STOP to a merchant (id) or a sender number came, monotonic s."""
        ...

    def undecided(self, sender: str) -> AbstractSet[int]:
        """Return the numbers whose STOP to this sender number waits for its commit."""
        ...

    def end(self, merchant_id: int, campaign_id: int, why: Drop, now: float) -> None:
        """Write nothing more of a campaign."""
        ...

    def ended(self, merchant_id: int, campaign_id: int) -> Drop | None:
        """Return why nothing more of a campaign may leave, if so."""
        ...

    def since(self, merchant_id: int, msisdn: int, at: float) -> bool:
        """Return whether a person took anything back from a merchant at or after `at`, monotonic seconds."""
        ...


class Wakeups(Protocol):
    """Nudges between loops of one process; losing one costs a poll interval, never a message."""

    def interactive(self) -> None: ...

    def campaigns(self) -> None: ...

    def deliveries(self) -> None: ...


class Secrets(Protocol):
    """Sealing by merchant and row (smsgate.security.sealing behind it)."""

    def seal(self, plaintext: bytes, *, table: str, merchant_id: int, row_id: int, column: str) -> bytes: ...

    def open(self, sealed: bytes, *, table: str, merchant_id: int, row_id: int, column: str) -> bytes: ...


class Ids(Protocol):
    def next(self) -> int: ...

    def block(self, size: int) -> int: ...


class PortedNumbers(Protocol):
    async def lookup(self, msisdns: Sequence[int]) -> dict[int, str]:
        """Return the network of each number that moved to another one."""
        ...


class PublicIdText(Protocol):
    """Opaque public ids (smsgate.security.public_ids)."""

    def encode(self, kind: str, id_: int) -> str: ...

    def decode(self, kind: str, text: str) -> int: ...


JsonObject = Mapping[str, object]
