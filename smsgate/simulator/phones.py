"""
Phones that receive messages and answer offers: by probability, by a script, or by hand.

Decisions only: `receive` takes what the SMSC delivered and returns the replies with their delays; who calls
it sends them. What comes while a phone's reply waits for an answer is that answer (an order receipt, a STOP
confirmation, a question back) and is read in silence, as is any text that offers nothing.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from smsgate.errors import ConfigError, Invalid, NotFound
from smsgate.protocol.gsm0338 import ESM_CLASS_UDHI
from smsgate.protocol.mo_text import read_mo
from smsgate.simulator.phone_texts import TEXTS, ReplyKind, language_of
from smsgate.simulator.reassembly import Reassembly
from smsgate.simulator.stops import is_offer
from smsgate.simulator.submits import Submits

PHONES_MAX: Final = 250_000  # phones remembered, some 150 MB; the one first seen is forgotten first
INBOX_MAX: Final = 50  # texts kept per phone, the last ones
TEXTS_MAX: Final = 4_096  # decoded texts kept: a campaign's texts are alike
ANSWER_WAIT_S: Final = 60.0  # after it, a text from the sender is no answer to this phone's reply any more
ANSWERED: Final = frozenset({ReplyKind.OK, ReplyKind.QUANTITY, ReplyKind.STOP, ReplyKind.QUESTION})


@dataclass(frozen=True, slots=True)
class Behaviour:
    """
    Shares of phones by what they do with an offer; what is left of 1 stays silent.

    `delay_s` is the range of seconds from reading to answering, `quantities` the numbers that people order.
    """

    ok: float = 0.0
    quantity: float = 0.0
    stop: float = 0.0
    question: float = 0.0
    decline: float = 0.0
    auto: float = 0.0
    quantities: tuple[int, ...] = (2, 3)
    delay_s: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        shares = [share for _, share in self.shares()]
        if min(shares) < 0.0 or sum(shares) > 1.0 + 1e-9:
            raise ConfigError(
                f"shares of replies sum to {sum(shares):g}", "behaviour", "let them sum to 1 or less"
            )
        if not 0.0 <= self.delay_s[0] <= self.delay_s[1] or not self.quantities:
            raise ConfigError(
                "delay_s or quantities are empty", "behaviour", "write (smaller, larger) seconds"
            )

    def shares(self) -> tuple[tuple[ReplyKind, float], ...]:
        return (
            (ReplyKind.OK, self.ok),
            (ReplyKind.QUANTITY, self.quantity),
            (ReplyKind.STOP, self.stop),
            (ReplyKind.QUESTION, self.question),
            (ReplyKind.DECLINE, self.decline),
            (ReplyKind.AUTO, self.auto),
        )

    def draw(self, rng: random.Random) -> ReplyKind:
        x = rng.random()
        for kind, share in self.shares():
            if x < share:
                return kind
            x -= share
        return ReplyKind.SILENCE


SILENT: Final = Behaviour()


class ScriptStep(NamedTuple):
    """Answer `text` to the next message that contains `on_containing` (any case; "" is any message)."""

    text: str
    on_containing: str = ""
    delay_s: float = 0.0


class Reply(NamedTuple):
    """What a phone is about to send; `quantity` is how many pieces its owner means to order."""

    msisdn: int
    to: str
    text: str
    kind: ReplyKind
    delay_s: float
    quantity: int


class InboxMessage(NamedTuple):
    """`received_at_s` is in seconds since 1970."""

    sender: str
    text: str
    received_at_s: float


@dataclass(slots=True)
class Phone:
    msisdn: int
    inbox: deque[InboxMessage] = field(default_factory=lambda: deque(maxlen=INBOX_MAX))
    sent: deque[Reply] = field(default_factory=lambda: deque(maxlen=INBOX_MAX))
    received: int = 0
    script: deque[ScriptStep] | None = None
    awaited: dict[str, float] = field(default_factory=dict)  # senders that owe it an answer, and until when


def answerable(sender: str) -> bool:
    """Return whether a phone can write to this sender: it is a number, long or short."""
    digits = sender.removeprefix("+")
    return digits.isascii() and digits.isdigit()


class Phones:
    """Every number is a phone; one that nobody wrote to exists once it is asked for."""

    def __init__(
        self,
        behaviour: Behaviour,
        rng: random.Random,
        scripts: Mapping[int, Sequence[ScriptStep]] | None = None,
        phones_max: int = PHONES_MAX,
    ) -> None:
        self.behaviour = behaviour
        self.received = 0
        self.offers_received = 0
        self.replies: Counter[ReplyKind] = Counter()  # decided, by kind; silence counts too
        self.pieces_ordered = 0
        self.unanswerable = 0  # replies that had no number to go to: the sender is a name
        self.buyers: set[int] = set()  # phones that said yes, of those remembered
        self.stopped: set[int] = set()
        self._rng = rng
        self._phones: dict[int, Phone] = {}
        self._phones_max = phones_max
        self._texts: dict[tuple[bytes, int], str] = {}
        self._parts: Reassembly[None] = Reassembly()
        for msisdn, script in (scripts or {}).items():
            self.script(msisdn, script)

    def __len__(self) -> int:
        return len(self._phones)

    def phone(self, msisdn: int) -> Phone:
        """Return the phone, a new one if nobody asked before."""
        phone = self._phones.get(msisdn)
        if phone is None:
            if len(self._phones) >= self._phones_max:
                self._forget(next(iter(self._phones)))
            phone = self._phones[msisdn] = Phone(msisdn)
        return phone

    def script(self, msisdn: int, steps: Sequence[ScriptStep]) -> None:
        """Let this phone do what `steps` say, in order, and nothing by chance; () makes it silent."""
        self.phone(msisdn).script = deque(steps)

    def inbox(self, msisdn: int) -> list[InboxMessage]:
        """
        Return what the phone has received, oldest first.

        Raises:
            NotFound: it never received anything.
        """
        phone = self._phones.get(msisdn)
        if phone is None or not phone.received:
            raise NotFound("this phone has received nothing")
        return list(phone.inbox)

    def receive(self, submits: Submits, now_s: float) -> list[Reply]:
        """Take what reached the phones at `now_s` (seconds since 1970); return what they answer."""
        replies: list[Reply] = []
        for i, destination in enumerate(submits.destinations):
            sender = submits.sources[i].decode("latin-1")
            coding, esm_class = submits.data_codings[i], submits.esm_classes[i]
            if esm_class & ESM_CLASS_UDHI:
                part = read_mo(submits.texts[i], coding, esm_class)
                joined = self._parts.add(sender, destination.decode(), part, None, now_s)
                texts = [each.text for each in joined]
            else:
                texts = [self._text(submits.texts[i], coding)]
            for text in texts:
                reply = self._read(self.phone(int(destination)), sender, text, now_s)
                if reply is not None:
                    replies.append(reply)
        return replies

    def by_hand(self, msisdn: int, text: str, to: str | None = None) -> Reply:
        """
        Return the reply that a person types on this phone, to `to` or to whoever wrote last.

        Raises:
            NotFound: no `to`, and nobody wrote to this phone.
            Invalid: the sender is a name.
        """
        phone = self.phone(msisdn)
        if to is None:
            if not phone.inbox:
                raise NotFound("nobody wrote to this phone yet: say to whom it writes")
            to = phone.inbox[-1].sender
        if not answerable(to):
            raise Invalid("the sender is a name, which no phone can write to", pointer="/to")
        reply = Reply(msisdn, to, text, ReplyKind.OTHER, 0.0, 0)
        self._note(phone, reply)
        return reply

    def stats(self) -> dict[str, Any]:
        return {
            "phones": len(self._phones),
            "received": self.received,
            "offers": self.offers_received,
            "replies": {kind.value: self.replies[kind] for kind in ReplyKind},
            "buyers": len(self.buyers),
            "pieces_ordered": self.pieces_ordered,
            "stopped": len(self.stopped),
            "unanswerable": self.unanswerable,
        }

    def _text(self, octets: bytes, coding: int) -> str:
        text = self._texts.get((octets, coding))
        if text is None:
            if len(self._texts) >= TEXTS_MAX:
                self._texts.clear()
            text = self._texts[octets, coding] = read_mo(octets, coding, 0).text
        return text

    def _read(self, phone: Phone, sender: str, text: str, now_s: float) -> Reply | None:
        phone.inbox.append(InboxMessage(sender, text, now_s))
        phone.received += 1
        self.received += 1
        if phone.script is not None:
            return self._follow(phone, sender, text)
        if phone.awaited.pop(sender, 0.0) > now_s or not is_offer(text):
            return None
        self.offers_received += 1
        kind = self.behaviour.draw(self._rng)
        if kind is ReplyKind.SILENCE:
            self.replies[kind] += 1
            return None
        if not answerable(sender):
            self.unanswerable += 1
            return None
        reply = self._compose(phone.msisdn, sender, kind, text)
        if kind in ANSWERED:
            phone.awaited[sender] = now_s + reply.delay_s + ANSWER_WAIT_S
        self._note(phone, reply)
        return reply

    def _follow(self, phone: Phone, sender: str, text: str) -> Reply | None:
        assert phone.script is not None
        self.offers_received += is_offer(text)
        if not phone.script or phone.script[0].on_containing.casefold() not in text.casefold():
            return None
        step = phone.script.popleft()
        reply = Reply(phone.msisdn, sender, step.text, ReplyKind.OTHER, step.delay_s, 0)
        self._note(phone, reply)
        return reply

    def _compose(self, msisdn: int, to: str, kind: ReplyKind, offer: str) -> Reply:
        rng = self._rng
        quantity = 1 if kind is ReplyKind.OK else 0
        if kind is ReplyKind.QUANTITY:
            quantity = rng.choice(self.behaviour.quantities)
        text = rng.choice(TEXTS[language_of(msisdn)][kind]).format(n=quantity, offer=offer)
        return Reply(msisdn, to, text, kind, rng.uniform(*self.behaviour.delay_s), quantity)

    def _note(self, phone: Phone, reply: Reply) -> None:
        self.replies[reply.kind] += 1
        phone.sent.append(reply)
        if reply.quantity:
            self.buyers.add(phone.msisdn)
            self.pieces_ordered += reply.quantity
        if reply.kind is ReplyKind.STOP:
            self.stopped.add(phone.msisdn)

    def _forget(self, msisdn: int) -> None:
        del self._phones[msisdn]
        self.buyers.discard(msisdn)
        self.stopped.discard(msisdn)
