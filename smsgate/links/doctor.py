"""
The connector doctor: bind, send a handful of probes, and say which profile this carrier wants.

It sends real messages to one phone, by the same code as the gateway does. What no answer of the carrier can
tell (which letters the phone showed, whether a long text came whole) it asks the phone: its owner answers A
or B by SMS, or it stays open.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from smsgate.errors import LinkError
from smsgate.links.bodies import BodyMaker
from smsgate.links.doctor_knobs import ATTEMPTS_MAX, Knobs, concats, sender_key
from smsgate.links.doctor_mail import DoctorMail
from smsgate.links.doctor_verdicts import (
    Finding,
    LongTry,
    alphabet_finding,
    id_finding,
    knob_findings,
    long_finding,
    receipt_finding,
)
from smsgate.protocol.commands import CommandId, Status, status_text
from smsgate.protocol.frames import Frame
from smsgate.protocol.gsm0338 import encode_gsm
from smsgate.protocol.message_ids import ALL_FORMS, convert, fold
from smsgate.protocol.pdus import decode_pdu
from smsgate.protocol.segmentation import segment
from smsgate.protocol.tlvs import encode_tlvs

if TYPE_CHECKING:
    from smsgate.clock import Clock
    from smsgate.links.probe import Answered, ProbeBind
    from smsgate.links.profile import CarrierProfile
    from smsgate.protocol.segmentation import Concat
    from smsgate.protocol.tlvs import Tlvs

GSM: Final = 0
UCS2: Final = 8
THROTTLE_WAIT_S: Final = 1.0  # a limit counts by the second
QUESTION: Final = (
    "smsgate test: do you see an at sign between these brackets (%s) ? Answer A for yes, B for no."
)
LONG_QUESTION: Final = (
    "smsgate test: one long text, which is to come as one message and not in pieces, however long it is, "
    "with its end at the end and nothing between. Is it one, whole? Answer A for yes, B for no."
)
AT_IN_GSM: Final = b"\x00"
AT_IN_LATIN1: Final = b"\x40"


class Examined(NamedTuple):
    """`profile` is the carrier's with what was found; `messages` is how many were sent."""

    findings: list[Finding]
    profile: CarrierProfile
    messages: int


class Doctor:
    """One examination over `bind`, of messages from `sender` to `msisdn`; waits up to `wait_s` for each."""

    def __init__(
        self, profile: CarrierProfile, clock: Clock, *, sender: str, msisdn: int, wait_s: float
    ) -> None:
        self.mail = DoctorMail(profile, clock, msisdn, self._is_ours)
        self.findings: list[Finding] = []
        self.messages = 0
        self._profile = profile
        self._clock = clock
        self._sender = sender
        self._msisdn = msisdn
        self._wait_s = wait_s
        self._knobs = Knobs.of(profile, sender_key(sender))
        self._ids: list[bytes] = []  # of submit_sm_resp, as they came

    async def examine(self, bind: ProbeBind) -> Examined:
        """
        Send the probes; what the bind's end cuts short is a finding, too.

        Raises:
            LinkError: the bind is gone before anything was found.
        """
        try:
            await self._probe(bind)
        except LinkError as exc:
            if not self.findings:
                raise
            self._failed(
                "bind lost", str(exc), "what was not tried is missing here: ask the carrier, try again"
            )
        keys = {key: value for finding in self.findings for key, value in finding.keys.items()}
        return Examined(self.findings, self._now_profile().model_copy(update=keys), self.messages)

    # The probes

    async def _probe(self, bind: ProbeBind) -> None:
        if not await self._first_message(bind):
            return
        self.findings += knob_findings(self._knobs)
        receipt = await self._receipts()
        await self._unicode(bind)
        await self._alphabet(bind)
        await self._long(bind)
        if receipt:
            await self._ids_agree()

    async def _first_message(self, bind: ProbeBind) -> bool:
        text = encode_gsm("smsgate test: this message needs no answer.")
        for _ in range(ATTEMPTS_MAX):
            answered = await self._submit(bind, text, GSM)
            if answered.pdu is None:
                self._failed(
                    "message", "no answer came to a submit_sm", "ask the carrier; raise response_timeout_s"
                )
                return False
            status = answered.pdu.status
            if status == Status.OK:
                self._found("message", f"taken in {answered.took_s * 1000:.0f} ms")
                return True
            if status in self._profile.throttle_statuses and status != Status.SUBMITFAIL:
                await self.mail.wait(lambda: False, self._clock.monotonic() + THROTTLE_WAIT_S)
            elif self._knobs.turn(status) is None:
                self._failed("message", f"refused: {status_text(status)}", _mend(status))
                return False
        self._failed("message", "refused in every form that was tried", "ask the carrier for its manual")
        return False

    async def _receipts(self) -> bool:
        if not self._knobs.values["registered_delivery"]:
            self.findings.append(
                Finding("receipts", "kept", "the carrier takes no registered_delivery: there are none")
            )
            return False
        started = self._clock.monotonic()
        came = await self.mail.wait(lambda: bool(self.mail.found), started + self._wait_s)
        took_s = self._clock.monotonic() - started
        self.findings.append(receipt_finding(self.mail.found if came else [], took_s))
        return came

    async def _unicode(self, bind: ProbeBind) -> None:
        answered = await self._submit(bind, "smsgate test: Привет, 你好".encode("utf-16-be"), UCS2)
        throttled = answered.pdu is not None and answered.pdu.status in self._profile.throttle_statuses
        refused = {} if throttled else {"ucs2": False}
        self._note("unicode", answered, "UCS-2 is taken with data_coding 8", refused)

    async def _alphabet(self, bind: ProbeBind) -> None:
        """Ask the phone: one octet is an at sign in GSM 03.38, another one is in Latin-1."""
        if not self._receives():
            self.findings.append(
                Finding(
                    "alphabet", "kept", "the sender cannot be answered, so nobody can say what a phone shows"
                )
            )
            return
        seen: list[str | None] = []
        for octet in (AT_IN_GSM, AT_IN_LATIN1):
            head, tail = (encode_gsm(half) for half in QUESTION.split("%s"))
            before = len(self.mail.replies)
            await self._submit(bind, head + octet + tail, GSM)
            seen.append(await self._answer(before))
            if seen[0] != "B":
                break
        self.findings.append(alphabet_finding(seen))

    async def _long(self, bind: ProbeBind) -> None:
        """Tell the parts of a long text in one way after the other, until the phone's owner sees it whole."""
        tried: list[LongTry] = []
        for concat in concats(self._profile):
            before = len(self.mail.replies)
            refusal = await self._long_by(bind, concat)
            seen = await self._answer(before) if not refusal and self._receives() else None
            tried.append(LongTry(concat, refusal, seen))
            if not refusal and seen != "B":
                break
        self.findings.append(long_finding(tried, self._profile.concat))

    async def _long_by(self, bind: ProbeBind, concat: Concat) -> str:
        """Send the long text; return why a part was not taken, empty when all were."""
        keys = {key: value for finding in self.findings for key, value in finding.keys.items()}
        alphabet = keys.get("default_alphabet", self._profile.default_alphabet)
        sent = segment(LONG_QUESTION, reference=self.messages & 0xFF, concat=concat, encoding=alphabet)
        no_tlvs: list[Tlvs] = [()] * len(sent.short_messages)
        for part, tlvs in zip(sent.short_messages, sent.tlvs or no_tlvs, strict=True):
            answered = await self._submit(bind, part, GSM, sent.esm_class, tlvs)
            if answered.pdu is not None and answered.pdu.status in self._profile.throttle_statuses:
                await self.mail.wait(lambda: False, self._clock.monotonic() + THROTTLE_WAIT_S)
                answered = await self._submit(bind, part, GSM, sent.esm_class, tlvs)
            if answered.pdu is None:
                return "no answer came"
            if answered.pdu.status:
                return status_text(answered.pdu.status)
        return ""

    async def _answer(self, before: int) -> str | None:
        """Return what the phone's owner answers, who had answered `before` times; None: nothing in time."""
        until = self._clock.monotonic() + self._wait_s
        await self.mail.wait(lambda: len(self.mail.replies) > before, until)
        texts = [reply.text.strip().upper() for reply in self.mail.replies[before:]]
        return texts[-1] if texts else None

    async def _ids_agree(self) -> None:
        until = self._clock.monotonic() + self._wait_s
        await self.mail.wait(lambda: len(self.mail.found) >= len(self._ids), until)
        self.findings.append(id_finding(self._ids, [receipt.ids for receipt in self.mail.found]))

    # Small things

    async def _submit(
        self, bind: ProbeBind, text: bytes, data_coding: int, esm_class: int = 0, tlvs: Tlvs = ()
    ) -> Answered:
        raw = self._now_profile().model_copy(update={"default_alphabet": "gsm7"})  # octets as they are
        maker = BodyMaker(raw, self._clock)
        [body] = maker.bodies(self._sender, [self._msisdn], [text], data_coding, esm_class)
        pdu = decode_pdu(Frame(CommandId.SUBMIT_SM, 0, 0, body + encode_tlvs(tlvs)))
        self.messages += 1
        answered = await bind.ask(pdu)
        if answered.pdu is not None and answered.pdu.status == Status.OK:
            self._ids.append(answered.pdu.fields.get("message_id", b""))
        return answered

    def _now_profile(self) -> CarrierProfile:
        values = dict(self._knobs.values)
        if self._knobs.sender_key in self._knobs.turned:  # what stands at the sender would win over it
            values["senders"] = tuple(
                sender.model_copy(update={"ton": None, "npi": None}) for sender in self._profile.senders
            )
        return self._profile.model_copy(update=values)

    def _receives(self) -> bool:
        return any(sender.receives and sender.number == self._sender for sender in self._profile.senders)

    def _is_ours(self, message_id: bytes) -> bool:
        known = {fold(each) for each in self._ids}
        return any(convert(message_id, form) in known for form in ALL_FORMS) and bool(known)

    def _note(
        self, name: str, answered: Answered, taken: str, refused: Mapping[str, object] = MappingProxyType({})
    ) -> None:
        """`refused`: keys of the profile that a refusal settles."""
        if answered.pdu is None:
            self._failed(name, "no answer came", "ask the carrier")
        elif answered.pdu.status:
            why, mend = f"refused: {status_text(answered.pdu.status)}", "ask the carrier for its manual"
            self.findings.append(Finding(name, "failed", why, refused, mend))
        else:
            self._found(name, taken)

    def _found(self, name: str, detail: str) -> None:
        self.findings.append(Finding(name, "found", detail))

    def _failed(self, name: str, detail: str, mend: str) -> None:
        self.findings.append(Finding(name, "failed", detail, mend=mend))


def _mend(status: int) -> str:
    if status in {Status.INVSRCADR, Status.INVSRCTON, Status.INVSRCNPI}:
        return "ask the carrier which senders this account may use"
    if status in {Status.INVDSTADR, Status.INVDSTTON, Status.INVDSTNPI}:
        return "try another number, or ask the carrier which networks it reaches"
    return "ask the carrier what this status means"
