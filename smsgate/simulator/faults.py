"""
What the simulated SMSC can do wrong: a small set of switches, each on its own, all off by default.

A profile (`profiles.py`) is a named setting of them. Shares are 0..1, drawn from the SMSC's seeded generator
per PDU, in the order in which PDUs come: the same client and the same seed meet the same faults.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, Literal, NamedTuple, get_args

from smsgate.errors import ConfigError

TlvPairs = tuple[tuple[int, bytes], ...]
EndKind = Literal["", "cut", "torn", "silence", "unbind"]
ReceiptParts = Literal["both", "text", "tlvs"]
ReceiptPlace = Literal["short_message", "message_payload", "data_sm"]
MoConcat = Literal["udh8", "udh16", "sar", "port-udh8", "payload", "udh-in-payload"]
MoAlphabet = Literal["gsm", "latin1", "gsm-as-1", "packed", "turkish"]
Alphabet = Literal["gsm", "latin1", "packed"]
Rule = Literal["no-validity", "no-udh", "vendor-tlvs", "alphanumeric-ton", "gsm-as-1"]
Tls = Literal["", "good", "self-signed", "wrong-name", "expired"]

ENQUIRES_PER_S_MAX: Final = 10_000
COPIES_MAX: Final = 100


class LateRate(NamedTuple):
    """From the `after`-th submit_sm of the account on, it may send `rate_per_s`."""

    after: int
    rate_per_s: int


@dataclass(frozen=True, slots=True)
class Faults:
    """One name, one switch. Numbers are 0, texts empty and tuples () when a switch is off."""

    # Message ids; their form is `message_id_form` and `receipt_id_form` of SmscSettings.
    id_cycle: int = 0  # ids come again after so many messages
    id_lost_share: float = 0.0  # of accepted submit_sm: the response has no body, hence no id
    tlv_id_form: str = ""  # of receipted_message_id, when it differs from the receipt's text

    # Receipts.
    receipt_parts: ReceiptParts = "both"
    receipt_place: ReceiptPlace = "short_message"
    receipt_esm_class: int = 0x04
    receipt_texts: tuple[str, ...] = ()  # templates in turn, see `faulty_receipts`
    receipt_tail: bytes = b""  # after the receipt's text
    receipt_tlvs: TlvPairs = ()  # instead of those with the same tag
    receipt_states_before: tuple[int, ...] = ()  # message_state of receipts before the final one
    receipt_states_after: tuple[int, ...] = ()
    receipt_copies: int = 1  # each comes so often
    receipt_lead_s: float = 0.0  # receipts leave so long before the submit_sm_resp
    receipt_other_bind: bool = False  # never on the bind that submitted, if there is another
    receipt_for_refused: bool = False  # refused messages get one too

    # The beginning of a session.
    first_octets: tuple[bytes, ...] = ()  # what the first connections hear instead of SMPP
    enquires_before_bound: bool = False  # asks enquire_link before it answers the bind, and waits
    interface_versions: tuple[int, ...] = ()  # others are refused
    sc_interface_version: int = 0x34  # in the bind's answer; 0: the TLV is missing
    already_bound_s: float = 0.0  # after a lost session binds are refused for so long

    # The end of a session: after so many submit_sm of a bind, or so long after the bind.
    end: EndKind = ""
    end_after_submits: int = 0
    end_after_s: float = 0.0
    end_times: int = 1  # so often, then the SMSC is well; 0: always
    end_octets: bytes = b""  # written before the end
    submits_per_bind_max: int = 0  # more are refused with ESME_RINVBNDSTS

    # PDUs.
    sequence_offset: int = 0  # added to the SMSC's own numbers, which begin at 1; modulo 2**32
    enquires_per_s: int = 0
    empty_pdu_body: bytes = b""  # in enquire_link, unbind and their responses
    refusal_bodies: tuple[bytes, ...] = ()  # of refused submit_sm, in turn
    bare_bind_response: bool = False
    tlvs: TlvPairs = ()  # after every bind_resp, submit_sm_resp and deliver_sm
    tails: tuple[bytes, ...] = ()  # after every PDU, in turn: no field and no TLV
    extra_pdus: tuple[tuple[int, bytes], ...] = ()  # (command_id, body), one after each submit_sm, in turn
    odd_fields: bool = False  # reserved bits, unknown TON and NPI in every deliver_sm
    write_octets: int = 0  # octets of a write

    # Answers to submit_sm.
    refuse_statuses: tuple[int, ...] = ()  # in turn, instead of `refuse_status` of SmscSettings
    unanswered_share: float = 0.0
    late_share: float = 0.0
    late_s: tuple[float, float] = (0.0, 0.0)
    account_rate_per_s: int = 0
    late_rate: LateRate | None = None
    window_max: int = 0  # more unanswered submit_sm of a bind are refused in turn by `window_statuses`
    window_statuses: tuple[int, ...] = ()
    capacity_per_s: int = 0  # congestion_state 85 stands for it; when a second's worth waits, 100 and 0x58

    # Texts to phones.
    alphabet: Alphabet = "gsm"  # of data_coding 0
    rules: tuple[Rule, ...] = ()  # submit_sm that break one are refused
    strips_udh: bool = False  # phones get the parts of a long text each for itself

    # Texts of phones.
    mo_answer: str = ""  # what each phone says to a sender's first message; {id} is its message id
    mo_concat: MoConcat = "udh8"
    mo_alphabet: MoAlphabet = "gsm"
    mo_reference: int = -1  # of every long text, 0 to 255; -1: each has its own
    mo_shuffled: bool = False
    mo_over_binds: bool = False
    mo_cuts_pairs: bool = False  # parts end inside a surrogate or escape pair
    mo_copies: int = 1  # after each was answered 0
    mo_retry_statuses: tuple[int, ...] = ()  # other answers than 0 and these lose it

    tls: Tls = ""

    def check(self) -> None:
        """
        Refuse switches that cannot work.

        Raises:
            ConfigError: names the switch.
        """
        for name in ("id_lost_share", "unanswered_share", "late_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"{name} is {getattr(self, name)}", name, "write a share between 0 and 1")
        for name, limit in (
            ("receipt_copies", COPIES_MAX),
            ("mo_copies", COPIES_MAX),
            ("enquires_per_s", ENQUIRES_PER_S_MAX),
        ):
            if not 0 <= getattr(self, name) <= limit:
                raise ConfigError(f"{name} is {getattr(self, name)}", name, f"write at most {limit}")
        if self.end not in get_args(EndKind):
            raise ConfigError(f"end is {self.end!r}", "end", f"write one of {get_args(EndKind)}")
        if bool(self.end) != bool(self.end_after_submits or self.end_after_s):
            raise ConfigError("end says how, and not when", "end", "set end_after_submits or end_after_s")
        if self.window_max and not self.window_statuses:
            raise ConfigError(
                "window_max needs an answer", "window_statuses", "name a command_status, such as 0x14"
            )

    def switched(self) -> dict[str, object]:
        """Return the switches that are not off, in the order of their definition."""
        return {
            each.name: value
            for each in fields(self)
            if (value := getattr(self, each.name)) != getattr(NO_FAULTS, each.name)
        }


NO_FAULTS: Final = Faults()
