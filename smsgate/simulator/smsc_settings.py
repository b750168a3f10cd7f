"""What the simulated SMSC does, and how badly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from smsgate.errors import ConfigError
from smsgate.protocol.commands import Status
from smsgate.simulator.faults import NO_FAULTS, Faults

IdForm = Literal[
    "decimal", "hex", "hex-upper", "hex-16", "decimal-20", "dashes", "underscores", "opaque-64", "empty"
]
# % formats of the number that the SMSC gives a message; each must stay apart from every other number's.
ID_FORMS: Final[Mapping[IdForm, bytes]] = {
    "decimal": b"%d",
    "hex": b"%x",
    "hex-upper": b"%X",
    "hex-16": b"%016x",
    "decimal-20": b"%020d",
    "dashes": b"5a0e-41c7-%d-eu1",
    "underscores": b"eu1_%d_mt_7",
    "opaque-64": b"Qz" + b"x" * 30 + b"%032x",
    "empty": b"%.0a",  # no character of any number
}
assert set(ID_FORMS) == set(get_args(IdForm))

DELIVER_WINDOW: Final = 1_000  # unanswered deliver_sm per bind: 50,000/s at an ESME that commits every 20 ms
DELIVER_TIMEOUT_S: Final = 60.0  # an ESME that answers none of its deliver_sm for so long is cut off


@dataclass(frozen=True, slots=True)
class SmscAccount:
    """
    What an ESME binds with.

    `rate_per_s` is submit_sm per second over all binds of the account, with a burst of one second's worth;
    above it the answer is ESME_RTHROTTLED. 0 is no limit.
    """

    system_id: str
    password: str
    rate_per_s: int = 0
    binds_max: int = 32


@dataclass(frozen=True, slots=True)
class OutbindTo:
    """Where the SMSC asks an ESME to bind, in plain text, and as whom. Source: SMPP 3.4 §4.1.7."""

    host: str
    port: int
    password: str
    system_id: str = "smsgate-smsc"


@dataclass(slots=True)
class SmscSettings:
    """
    All but `accounts` may be changed while the SMSC runs, and count from the next PDU on.

    Shares are 0..1 and drawn per message. `receipt_delay_s` is a range, from the submit_sm_resp to the phone
    having the message (and its receipt leaving); it is drawn once per read, so neighbours share it.
    With `answers_submits` False messages are taken, delivered and never answered.
    """

    accounts: tuple[SmscAccount, ...] = (SmscAccount("smsgate", "secret"),)
    message_id_form: IdForm = "decimal"
    receipt_id_form: IdForm | None = None  # None: as in submit_sm_resp; many an SMSC differs
    response_latency_s: float = 0.0
    receipt_delay_s: tuple[float, float] = (0.0, 0.0)
    receipts: bool = True
    undelivered_share: float = 0.0
    expired_share: float = 0.0
    refuse_share: float = 0.0
    refuse_status: int = Status.SYSERR
    outbind: OutbindTo | None = None  # while something waits for the first account and nobody reads
    answers_submits: bool = True
    deliver_window: int = DELIVER_WINDOW
    deliver_timeout_s: float = DELIVER_TIMEOUT_S
    enquire_link_s: float = 0.0  # 0: the SMSC never asks
    first_message_id: int | None = None  # None: from the clock, so that a restart repeats none
    faults: Faults = NO_FAULTS  # read once, at the start

    def check(self) -> None:
        """
        Refuse settings that cannot work.

        Raises:
            ConfigError: names the setting.
        """
        for name in ("undelivered_share", "expired_share", "refuse_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"{name} is {getattr(self, name)}", name, "write a share between 0 and 1")
        if self.undelivered_share + self.expired_share > 1.0:
            raise ConfigError(
                "undelivered_share and expired_share are more than everything",
                "expired_share",
                "let both together be at most 1",
            )
        self.faults.check()
        low, high = self.receipt_delay_s
        if not 0.0 <= low <= high:
            raise ConfigError(
                f"receipt_delay_s is {low} to {high}", "receipt_delay_s", "write seconds, the smaller first"
            )
        if not self.accounts or len({account.system_id for account in self.accounts}) < len(self.accounts):
            raise ConfigError(
                "accounts are missing or share a system_id", "accounts", "give each account a system_id"
            )
