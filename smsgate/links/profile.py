"""
How one carrier wants to be spoken to: its configuration, checked whole at start-up.

Defaults are what most SMSCs take. Numbers of SMPP (statuses, TON, NPI) are written as in the carrier's
manual; TOML knows 0x58.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from smsgate.errors import ConfigError
from smsgate.links.profile_flow import FlowKeys
from smsgate.links.profile_inbound import InboundKeys
from smsgate.links.profile_outbind import OutbindKeys
from smsgate.links.profile_senders import SenderNumber
from smsgate.links.profile_session import RebindDelays, SessionKeys
from smsgate.links.profile_text import TextKeys
from smsgate.links.profile_tlvs import TlvOut
from smsgate.links.profile_values import FROZEN
from smsgate.protocol.commands import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails


class CarrierProfile(InboundKeys, TextKeys, FlowKeys, OutbindKeys, SessionKeys):
    """
    One carrier account, as configured; the rate is shared by all its binds, the window is each bind's.

    Keys stand in the module of their subject; this one holds what looks at several of them.
    """

    model_config = FROZEN

    cost_list: str | None = Field(
        default=None, description="name of the price list of what this carrier charges"
    )

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
        if (lacking := self.lacking_for_outbind(tls=self.tls != "none")) is not None:
            raise self._refusal(
                lacking,
                "is not set, and outbind_port is",
                "set it, so that nobody else can make us bind, or strike outbind_port",
            )
        if self.mo_busy_status == Status.X_T_APPN:
            raise self._refusal("mo_busy_status", "0x64 loses the MO at most SMSCs", "set 0x14 or 0x58")
        if self.default_alphabet != "gsm7":
            for key, wanted in (("shift", bool(self.shift)), ("packed", self.packed)):
                if wanted:
                    raise self._refusal(
                        key, "is for septets", 'set default_alphabet = "gsm7", or strike the key'
                    )
        if not self.receipt_id_forms():
            raise self._refusal(
                "id_receipt",
                f"{self.id_receipt} and id_resp {self.id_resp} never meet",
                'convert one of the two, or set id_receipt = "auto"',
            )
        if self.concat in {"sar", "payload"} and self.interface_version < 0x34:
            raise self._refusal(
                "concat",
                f'"{self.concat}" is TLVs, which 3.3 has not',
                'set "udh8" or a later version',
            )
        if self.concat == "payload" and self.packed:
            raise self._refusal(
                "concat", '"payload" and packed septets do not go together', 'set "udh8", or strike packed'
            )
        numbers = [sender.number.removeprefix("+") for sender in self.senders]
        if twice := sorted({number for number in numbers if numbers.count(number) > 1}):
            raise self._refusal("senders", f"{twice[0]} stands there twice", "keep one entry")
        return self

    def _refusal(self, key: str, what: str, mend: str) -> ConfigError:
        return ConfigError(
            f"carrier {self.name}: {key} {what}", where=f"carriers.{self.name}.{key}", mend=mend
        )


_TABLES: Final[Mapping[str, type[BaseModel]]] = {
    "senders": SenderNumber,
    "rebind": RebindDelays,
    "tlvs_out": TlvOut,
}
_KEYS: Final = {*CarrierProfile.model_fields}.union(*(table.model_fields for table in _TABLES.values()))


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
