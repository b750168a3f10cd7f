"""
How one carrier wants to be spoken to: its configuration, checked whole at start-up.

Defaults are what most SMSCs take. Numbers of SMPP (statuses, TON, NPI) are written as in the carrier's
manual; TOML knows 0x58.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from smsgate.errors import ConfigError
from smsgate.protocol.commands import Status
from smsgate.protocol.gsm0338 import is_gsm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

SYSTEM_ID_OCTETS_MAX: Final = 64  # SMPP 3.4 says 15; providers use longer ones, 64 keeps a bind PDU small
PASSWORD_MAX_LIMIT: Final = 64  # what `password_max` may be raised to
ALPHANUMERIC_SENDER_MAX: Final = 11  # characters; 3GPP TS 23.040 §9.1.2.5: 10 octets hold 11 septets
SHORT_CODE_DIGITS_MAX: Final = 6  # longer digit senders are MSISDNs, unless the entry says ton and npi
BINDS_MAX: Final = 64  # sessions of one account; carriers allow 2 to 10
WINDOW_LIMIT: Final = 10_000  # unanswered submits of one session: memory, and what a lost link leaves unknown
RATE_LIMIT_PER_S: Final = 100_000  # segments; above any carrier's contract
BURST_S: Final = 0.1  # what the bucket holds, as a time at full rate: longer than a slow turn of the loop
BURST_MIN: Final = 2  # segments: one for the interactive lane and one for the bulk lane
VALIDITY_MAX_S: Final = 30 * 86_400  # the relative form is read safely in days; SMSCs keep a message for days
OFFSETS_MAX_S: Final = 86_400.0  # no time-out or delay is longer than a day

_HOST: Final = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_DIGITS: Final = re.compile(r"\+?[0-9]{1,20}", re.ASCII)
_FROZEN: Final = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

Seconds = Annotated[float, Field(gt=0, le=OFFSETS_MAX_S)]
Octet = Annotated[int, Field(ge=0, le=0xFF)]
Ascii = Annotated[str, Field(pattern=r"^[ -~]*$")]
CommandStatus = Annotated[int, Field(ge=1, le=0xFFFF_FFFF)]


class Host(NamedTuple):
    """Where an SMSC listens; `name` is what its certificate must hold."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


def _read_host(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _HOST.fullmatch(value)
    if match is None or not 0 < int(match["port"]) < 65_536:
        raise ValueError("is no host:port")
    return Host(match["ipv6"] or match["host"], int(match["port"]))


class Address(NamedTuple):
    """A sender as submit_sm carries it."""

    ton: int
    npi: int
    addr: bytes


class SenderNumber(BaseModel):
    """One number or name that this carrier lets us send from."""

    model_config = _FROZEN

    number: str = Field(description='digits ("38123", "33612345678") or up to 11 letters ("BOXMAN")')
    receives: bool = Field(
        default=False, description="true when answers to this number come over this carrier"
    )
    merchants: Literal["*"] | tuple[str, ...] = Field(
        default="*", description='names of the merchants that may use it, or "*" for all'
    )
    ton: Octet | None = Field(default=None, description="TON, when it does not follow from the number's form")
    npi: Octet | None = Field(default=None, description="NPI, when it does not follow from the number's form")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if _DIGITS.fullmatch(self.number):
            return self
        ascii_gsm = self.number.isascii() and is_gsm(self.number)  # SMPP names no alphabet for addresses
        if not 1 <= len(self.number) <= ALPHANUMERIC_SENDER_MAX or not ascii_gsm:
            raise ValueError(f"{self.number!r} is neither digits nor 1 to 11 ASCII characters of GSM 03.38")
        if self.receives:
            raise ValueError(
                f"nobody can answer {self.number!r}: letters receive nothing, set receives = false"
            )
        return self


class RebindDelays(BaseModel):
    """
    How long a link waits before it tries again: from the first to the last, doubling, with jitter.

    A refusal of the credentials is retried slowly: hammering gets the account locked.
    """

    model_config = _FROZEN

    lost_s: tuple[Seconds, Seconds] = Field(
        default=(1.0, 60.0), description="[first, last] after a lost link"
    )
    refused_tcp_s: tuple[Seconds, Seconds] = Field(
        default=(2.0, 60.0), description="[first, last] after a refused or unreachable address"
    )
    already_bound_s: tuple[Seconds, Seconds] = Field(
        default=(5.0, 60.0),
        description="[first, last] after ESME_RALYBND, which SMSCs say for up to 2 minutes",
    )
    credentials_s: tuple[Seconds, Seconds] = Field(
        default=(60.0, 900.0), description="[first, last] after a refused system_id or password"
    )
    stable_s: Seconds = Field(
        default=30.0, description="a bind that held so long starts from the first delay again"
    )


class CarrierProfile(BaseModel):
    """One carrier account, as configured; the rate is shared by all its binds, the window is each bind's."""

    model_config = _FROZEN

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$",
        description='lower case letters, digits, - and _, 32 at most, "sms-fr"',
    )
    hosts: tuple[Annotated[Host, BeforeValidator(_read_host)], ...] = Field(
        min_length=1, max_length=16, description='one or more of "host:port", tried in turn'
    )
    system_id: Ascii = Field(
        min_length=1, max_length=SYSTEM_ID_OCTETS_MAX, description="what the carrier gave you"
    )
    password: SecretStr = Field(
        description="what the carrier gave you; raise password_max if it is longer than 8"
    )
    password_max: int = Field(default=8, ge=1, le=PASSWORD_MAX_LIMIT, description="8 by SMPP 3.4, up to 64")
    system_type: Ascii = Field(
        default="", max_length=12, description="empty, or what the carrier's manual says"
    )
    service_type: Ascii = Field(
        default="", max_length=5, description="empty, or what the carrier's manual says"
    )
    bind: Literal["trx", "tx+rx"] = Field(default="trx", description='"trx" or "tx+rx"')
    binds: int = Field(
        default=1, ge=1, le=BINDS_MAX, description="sessions, or pairs of them with tx+rx; 1 to 64"
    )
    interface_version: Literal[0x33, 0x34, 0x50] = Field(default=0x34, description="0x33, 0x34 or 0x50")
    tls: Literal["verify", "none"] = Field(default="verify", description='"verify", or "none" for plain text')
    insecure_plaintext: bool = Field(
        default=False, description="true to let credentials and texts go unprotected"
    )
    ca_file: str | None = Field(default=None, description="PEM file of the CA, when it is no public one")
    cert_file: str | None = Field(default=None, description="PEM file of our client certificate")
    key_file: str | None = Field(default=None, description="PEM file of the client certificate's key")
    enquire_interval_s: Seconds = Field(default=30.0, description="seconds of silence before enquire_link")
    response_timeout_s: Seconds = Field(default=10.0, description="seconds")
    bind_timeout_s: Seconds = Field(default=5.0, description="seconds to connect, and again to bind")
    window_max: int = Field(default=10, ge=1, le=WINDOW_LIMIT, description="unanswered submits per session")
    rate_per_s: int = Field(
        default=10, ge=1, le=RATE_LIMIT_PER_S, description="segments a second, of the contract"
    )
    interactive_share: float = Field(
        default=0.1, ge=0, le=0.9, description="share of window and rate that campaigns leave free, 0 to 0.9"
    )
    throttle_statuses: tuple[CommandStatus, ...] = Field(
        default=(Status.THROTTLED, Status.MSGQFUL, Status.SUBMITFAIL),
        description="command_status numbers that mean: slower",
    )
    mo_busy_status: CommandStatus = Field(
        default=Status.MSGQFUL, description="what makes the carrier deliver an MO again later: 0x14 or 0x58"
    )
    default_alphabet: Literal["gsm7", "latin1"] = Field(
        default="gsm7", description='what the carrier means by data_coding 0: "gsm7" or "latin1"'
    )
    gsm_data_coding: Octet = Field(
        default=0, description="data_coding of texts in the default alphabet: 0 or 1"
    )
    alphanumeric_ton_npi: tuple[Octet, Octet] = Field(default=(5, 0), description="[TON, NPI]")
    short_code_ton_npi: tuple[Octet, Octet] = Field(
        default=(3, 0), description="[TON, NPI]: [3, 0] or [0, 0]"
    )
    msisdn_ton_npi: tuple[Octet, Octet] = Field(
        default=(1, 1), description="[TON, NPI] of MSISDNs, both sides"
    )
    validity: Literal["absolute", "relative", "none"] = Field(
        default="absolute", description='form of validity_period: "absolute", "relative" or "none"'
    )
    validity_s: int = Field(default=86_400, ge=60, le=VALIDITY_MAX_S, description="seconds, 60 to 30 days")
    registered_delivery: Octet = Field(default=1, description="1 asks for final receipts, 0 for none")
    receipts: Literal["esm_class", "text"] = Field(
        default="esm_class",
        description='"esm_class"; "text" for a carrier that marks receipts by nothing else (forgeable)',
    )
    senders: tuple[SenderNumber, ...] = Field(default=(), description="numbers and names we may send from")
    cost_list: str | None = Field(
        default=None, description="name of the price list of what this carrier charges"
    )
    rebind: RebindDelays = Field(default_factory=RebindDelays, description="delays between attempts to bind")

    @property
    def burst(self) -> int:
        """Return how many segments may leave at once when nothing was sent for a while."""
        return max(BURST_MIN, round(self.rate_per_s * BURST_S))

    def source_address(self, sender: str) -> Address:
        """Return TON, NPI and octets for `sender`: by its entry, else by its form."""
        entry = next((each for each in self.senders if each.number == sender), None)
        if _DIGITS.fullmatch(sender):
            digits = sender.removeprefix("+")
            short = len(digits) <= SHORT_CODE_DIGITS_MAX
            ton, npi = self.short_code_ton_npi if short else self.msisdn_ton_npi
            addr = digits.encode("ascii")
        else:
            ton, npi = self.alphanumeric_ton_npi
            addr = sender.encode("ascii")
        if entry is not None:
            ton = ton if entry.ton is None else entry.ton
            npi = npi if entry.npi is None else entry.npi
        return Address(ton, npi, addr)

    @model_validator(mode="after")
    def _check(self) -> Self:
        password = self.password.get_secret_value()
        if not (password.isascii() and password.isprintable()):
            raise self._refusal("password", "is not printable ASCII", "ask the carrier for another one")
        if len(password) > self.password_max:
            raise self._refusal(
                "password",
                f"has {len(password)} characters, more than password_max = {self.password_max}",
                f"set password_max = {len(password)} if the carrier allows it; it is never cut",
            )
        if self.tls == "none" and not self.insecure_plaintext:
            raise self._refusal(
                "tls",
                'is "none"',
                "add insecure_plaintext = true to send credentials in the clear, or use TLS",
            )
        if (self.cert_file is None) != (self.key_file is None):
            raise self._refusal("cert_file", "and key_file belong together", "set both or neither")
        if self.mo_busy_status == Status.X_T_APPN:
            raise self._refusal("mo_busy_status", "0x64 loses the MO at most SMSCs", "set 0x14 or 0x58")
        numbers = [sender.number for sender in self.senders]
        if twice := sorted({number for number in numbers if numbers.count(number) > 1}):
            raise self._refusal("senders", f"{twice[0]} stands there twice", "keep one entry")
        return self

    def _refusal(self, key: str, what: str, mend: str) -> ConfigError:
        return ConfigError(
            f"carrier {self.name}: {key} {what}", where=f"carriers.{self.name}.{key}", mend=mend
        )


_TABLES: Final[Mapping[str, type[BaseModel]]] = {"senders": SenderNumber, "rebind": RebindDelays}
_KEYS: Final = {*CarrierProfile.model_fields, *SenderNumber.model_fields, *RebindDelays.model_fields}


def read_profile(settings: Mapping[str, Any], where: str = "carriers") -> CarrierProfile:
    """
    Return the profile that `settings` describe; `where` is the key of the table they come from.

    Raises:
        ConfigError: names the first key that cannot work, and what to write there.
    """
    try:
        return CarrierProfile.model_validate(settings)
    except ValidationError as error:
        raise _config_error(error.errors(include_input=False, include_url=False)[0], where) from None


def _config_error(detail: ErrorDetails, where: str) -> ConfigError:
    unknown = detail["type"] == "extra_forbidden"
    path = ".".join(str(step) for step in detail["loc"] if unknown or isinstance(step, int) or step in _KEYS)
    mend = f"write {_description(detail['loc'])}"
    message = detail["msg"].removeprefix("Value error, ")
    if unknown:
        known = list(_table_of(detail["loc"]).model_fields)
        near = difflib.get_close_matches(str(detail["loc"][-1]), known, 1)
        hint = f"did you mean {near[0]}?" if near else "remove it;"
        message, mend = "unknown key", f"{hint} known keys are {', '.join(known)}"
    elif detail["type"] == "missing":
        mend = f"add it: {_description(detail['loc'])}"
    elif detail["type"] == "string_pattern_mismatch":
        message = "it holds characters that cannot stand there"
    where = f"{where}.{path}" if path else where
    return ConfigError(f"{where}: {message}", where=where, mend=mend)


def _table_of(loc: tuple[int | str, ...]) -> type[BaseModel]:
    return _TABLES.get(str(loc[0]), CarrierProfile) if len(loc) > 1 else CarrierProfile


def _description(loc: tuple[int | str, ...]) -> str:
    model = _table_of(loc)
    keys = [step for step in loc if isinstance(step, str)]
    field = model.model_fields.get(keys[1] if model is not CarrierProfile and len(keys) > 1 else keys[0])
    field = field or CarrierProfile.model_fields.get(keys[0])
    return (field.description if field is not None else None) or "a value of its documented form"
