"""
Every error that smsgate raises on purpose.

* SmsgateError
    * ProtocolError              the peer or our own code broke SMPP
        * FramingError           stream unusable: drop the link
        * BodyError              one PDU unusable: answer it with `status`, go on
        * NotBound, WindowFull   we asked the session for what its state forbids
    * TextError                  a text that cannot be sent as it stands
    * LinkError                  no way to the carrier now; retryable
        * Unanswered             a request was sent and not answered: its outcome is unknown
        * CarrierRefused         the carrier answered no; has its command_status
    * StoreError                 the database refused one row or statement
        * StoreUnavailable       the database is away; retryable, the outcome may be unknown
            * CommitUnknown      it went away at COMMIT: whether the transaction stands is unknown
        * StoreNotReady          schema, role or data directory is not as it must be
            * SchemaOutdated     migrations are missing; the next start applies them
    * NotReadyYet                a file is being made; retryable
    * ConfigError                settings that cannot work; says where and how to mend it
    * SecurityError
        * KeyInvalid             an API key that is not one of ours, or not any more
        * SignatureInvalid       a webhook that its sender did not sign, or too old
        * SealBroken             a sealed secret does not open with our keys
        * AddressRefused         an outgoing address that is not global unicast
    * DomainError                the request is understood and refused; has a stable `code`
        * TransitionRefused      the event is not allowed in this state
        * NotFound               no such object for this merchant
        * Conflict               the object exists already, or is busy
        * TooSoon                not so often: says when to ask again
        * Invalid                a value is out of its documented range

Commands, the demonstration and the benchmark have some of their own below SmsgateError, which end them.
"""

from __future__ import annotations

from typing import ClassVar, Final

# of sqlstate
DUPLICATE_KEY: Final = "23505"
LOCK_NOT_AVAILABLE: Final = "55P03"  # in the time that the statement had


class SmsgateError(Exception):
    """Root. `code` is stable and public; the message is for people and may change."""

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False


class ProtocolError(SmsgateError):
    code = "protocol_error"


class FramingError(ProtocolError):
    """Nothing after this octet can be found: drop the link."""

    code = "framing_error"


class BodyError(ProtocolError):
    """One PDU is unusable: answer it with `status` (an SMPP command_status), keep the session."""

    code = "body_error"

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class NotBound(ProtocolError):
    code = "not_bound"


class WindowFull(ProtocolError):
    code = "window_full"


class TextError(SmsgateError):
    """The text cannot be sent as it stands; `characters` are those that cause it, in order, each once."""

    code = "text_invalid"
    http_status = 422

    def __init__(self, message: str, code: str = "text_invalid", characters: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]
        self.characters = characters


class LinkError(SmsgateError):
    code = "link_down"
    http_status = 503
    retryable = True


class Unanswered(LinkError):
    """Whether the carrier did what was asked is unknown."""

    code = "carrier_unanswered"
    http_status = 504
    retryable = False


class CarrierRefused(LinkError):
    code = "carrier_refused"
    http_status = 502
    retryable = False

    def __init__(self, status: int) -> None:
        super().__init__(f"the carrier refused with command_status 0x{status:02x}")
        self.status = status


class StoreError(SmsgateError):
    """`sqlstate` is PostgreSQL's five-character code, empty when there is none."""

    code = "store_refused"
    sqlstate: str = ""

    @property
    def is_duplicate(self) -> bool:
        """Whether a row with this key stands there already."""
        return self.sqlstate == DUPLICATE_KEY


class StoreUnavailable(StoreError):
    """The database went away; whether the last statement took effect is unknown."""

    code = "store_unavailable"
    http_status = 503
    retryable = True


class CommitUnknown(StoreUnavailable):
    """COMMIT was sent and its answer never came: the transaction stands as a whole, or not at all."""


class StoreNotReady(StoreError):
    code = "store_not_ready"
    http_status = 503


class SchemaOutdated(StoreNotReady):
    """Migrations are missing, which the next start applies; `empty`: there is no schema at all."""

    def __init__(self, message: str, *, empty: bool) -> None:
        super().__init__(message)
        self.empty = empty


class NotReadyYet(SmsgateError):
    """The file is being made: ask again."""

    code = "export_not_ready"
    http_status = 503
    retryable = True


class ConfigError(SmsgateError):
    """Settings cannot work. `where` is the key, `mend` one sentence on what to write instead."""

    code = "config_invalid"

    def __init__(self, message: str, where: str = "", mend: str = "") -> None:
        super().__init__(message)
        self.where = where
        self.mend = mend


class SecurityError(SmsgateError):
    code = "refused"
    http_status = 403


class KeyInvalid(SecurityError):
    code = "key_invalid"
    http_status = 401


class SignatureInvalid(SecurityError):
    """`reason` stays: header_missing, header_malformed, timestamp_too_old, timestamp_too_new, no_match."""

    code = "signature_invalid"
    http_status = 401

    def __init__(self, message: str, reason: str = "no_match") -> None:
        super().__init__(message)
        self.reason = reason


class SealBroken(SecurityError):
    code = "seal_broken"
    http_status = 500


class AddressRefused(SecurityError):
    code = "address_refused"
    http_status = 422


class DomainError(SmsgateError):
    """
    The request is understood and refused.

    `code` is one of the documented problem codes; `pointer` is a JSON pointer into the request body.
    """

    code = "refused"
    http_status = 422

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        http_status: int | None = None,
        pointer: str | None = None,
        extra: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code  # type: ignore[misc]
        if http_status is not None:
            self.http_status = http_status  # type: ignore[misc]
        self.pointer = pointer
        self.extra = extra or {}


class TransitionRefused(DomainError):
    code = "state_conflict"
    http_status = 409


class NotFound(DomainError):
    code = "not_found"
    http_status = 404

    def __init__(self, message: str = "No such object.", *, code: str | None = None) -> None:
        super().__init__(message, code=code)


class Conflict(DomainError):
    code = "conflict"
    http_status = 409


class TooSoon(DomainError):
    """`retry_after_s`: until it may be asked again; it may be refused then, too."""

    code = "rate_limited"
    http_status = 429

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Invalid(DomainError):
    code = "invalid"
    http_status = 422
