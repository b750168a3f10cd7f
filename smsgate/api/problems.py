"""
RFC 9457: the one place where errors become HTTP answers.

`type` is `/problems/{code}`, a page that says what to do. Every code that a route can answer stands in a
table of `ProblemType`: the common ones here, the others as `PROBLEMS` beside the routes that use them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import structlog
from aiohttp import web

from smsgate.errors import DomainError, SmsgateError, TextError, TooSoon

MEDIA_TYPE: Final = "application/problem+json"
ERRORS_MAX: Final = 50  # pointers shown in one problem: enough to mend a form
RETRY_AFTER_S: Final = 2  # for a database that is away: longer than a failover's first second

_log = structlog.get_logger("smsgate.api")


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One documented error. `title` never changes with the case; `text` says what the caller can do."""

    code: str
    status: int
    title: str
    text: str


COMMON: Final = (
    ProblemType(
        "key_missing", 401, "No API key", "Send `Authorization: Bearer sgk_...` with one of your keys."
    ),
    ProblemType(
        "key_invalid", 401, "API key not accepted", "The key is mistyped, unknown, expired or revoked."
    ),
    ProblemType(
        "scope_missing", 403, "The key's scopes do not allow this", "Ask for a key with the scope named."
    ),
    ProblemType(
        "operator_only", 403, "Only the operator may do this", "Merchants' keys cannot use this route."
    ),
    ProblemType("merchant_only", 403, "Only a merchant may do this", "Use a key of the merchant itself."),
    ProblemType("merchant_suspended", 403, "The merchant is suspended", "Ask the operator of this gateway."),
    ProblemType("rate_limited", 429, "Too many requests", "Wait as long as `Retry-After` says."),
    ProblemType("not_found", 404, "Nothing here", "No such route, or no such object of this merchant."),
    ProblemType(
        "method_not_allowed", 405, "The route does not know this method", "`Allow` names the methods."
    ),
    ProblemType(
        "request_timeout", 408, "The body came too slowly", "Send it again, faster or in smaller parts."
    ),
    ProblemType("conflict", 409, "The object exists already or is busy", "Read it, then decide."),
    ProblemType("state_conflict", 409, "Not possible in this state", "Read the object's state."),
    ProblemType(
        "idempotency_in_flight", 409, "The same request is being worked on", "Repeat it in a moment."
    ),
    ProblemType(
        "idempotency_mismatch", 422, "The Idempotency-Key belongs to another request", "Use a new key for it."
    ),
    ProblemType(
        "idempotency_key_invalid", 400, "The Idempotency-Key is malformed", "1 to 255 visible characters."
    ),
    ProblemType(
        "body_too_large", 413, "The body is too large", "JSON may have 1 MiB; larger data is imported."
    ),
    ProblemType("encoding_unsupported", 415, "Content-Encoding is not taken", "Send the body as it is."),
    ProblemType(
        "media_type_unsupported", 415, "Wrong Content-Type", "`detail` names the types that are taken."
    ),
    ProblemType("json_invalid", 400, "The body is not acceptable JSON", "`detail` says where it broke."),
    ProblemType("http_invalid", 400, "The request cannot be read", "Some part is no valid HTTP."),
    ProblemType(
        "invalid", 422, "Values are missing, unknown or out of range", "`errors[].pointer` names them."
    ),
    ProblemType(
        "cursor_unknown", 422, "The page's cursor is no object of this list", "Start from the first page."
    ),
    ProblemType(
        "expectation_failed", 417, "The Expect header cannot be met", "Send none, or `100-continue`."
    ),
    ProblemType("range_invalid", 416, "No such part of the file", "`Content-Range` says how long it is."),
    ProblemType("export_not_ready", 503, "The file is being made", "Repeat the request after `Retry-After`."),
    ProblemType("internal", 500, "Our mistake", "Tell the operator the `request_id`."),
    ProblemType("store_unavailable", 503, "The database is away", "Repeat the request after `Retry-After`."),
    ProblemType(
        "store_not_ready", 503, "The database is not ready", "Repeat the request after `Retry-After`."
    ),
    ProblemType(
        "timeout", 503, "The work took too long", "Whether it was done is not known; read, then repeat."
    ),
)


class Refusal(DomainError):
    """A refusal by the API itself; `code` is one of the tables' and brings its status. Headers go with it."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Mapping[str, object]] = (),
    ) -> None:
        super().__init__(detail, code=code, http_status=_STATUS[code])
        self.headers = dict(headers or {})
        self.errors = list(errors)


_STATUS: Final = {problem.code: problem.status for problem in COMMON}


@dataclass(frozen=True, slots=True)
class Problem:
    """One answer to be."""

    code: str
    status: int
    detail: str
    errors: list[Mapping[str, object]] = field(default_factory=list)
    extra: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class Problems:
    """The table of all codes, and how exceptions become answers."""

    def __init__(self, types: Iterable[ProblemType]) -> None:
        self.types: dict[str, ProblemType] = {}
        for type_ in types:
            known = self.types.setdefault(type_.code, type_)
            assert known.status == type_.status, f"{type_.code} has two statuses"

    def of(self, exc: Exception, request_id: str) -> Problem:
        """
        Return what the caller is told about `exc`; logs it when it is our fault.

        So it is when a code stands in no table: nobody is told how to go on from it.
        """
        match exc:
            case SmsgateError() if exc.code not in self.types:
                pass
            case Refusal():
                return Problem(exc.code, exc.http_status, str(exc), exc.errors, exc.extra, exc.headers)
            case TooSoon():
                wait = {"Retry-After": str(max(1, math.ceil(exc.retry_after_s)))}
                return Problem(exc.code, self._status(exc), str(exc), headers=wait)
            case DomainError():
                found = exc.extra.get("errors")
                errors = list(found) if isinstance(found, list) else []
                if not errors and exc.pointer is not None:
                    errors = [{"pointer": exc.pointer, "detail": str(exc)}]
                return Problem(exc.code, self._status(exc), str(exc), errors, exc.extra)
            case TextError():
                return Problem(exc.code, 422, str(exc), extra={"characters": list(exc.characters)})
            case web.HTTPException():
                return _of_http(exc)
            case TimeoutError():
                _log.warning("request_timed_out", request_id=request_id)
                return Problem("timeout", 503, "The work took too long.", headers=_retry())
            case SmsgateError() if exc.http_status == 503:
                _log.warning("request_not_served", request_id=request_id, code=exc.code, error=str(exc)[:200])
                return Problem(exc.code, 503, self.title(exc.code), headers=_retry())
            case SmsgateError() if exc.http_status < 500:
                return Problem(exc.code, self._status(exc), str(exc))
        _log.error("request_failed", request_id=request_id, exc_info=exc)
        return Problem("internal", 500, "Something broke on our side; it is in our log.")

    def answer(self, problem: Problem, request_id: str) -> web.Response:
        return web.Response(
            body=self.octets(problem, request_id),
            status=problem.status,
            headers={**problem.headers, "Content-Type": MEDIA_TYPE},
        )

    def octets(self, problem: Problem, request_id: str) -> bytes:
        body: dict[str, Any] = {
            "type": f"/problems/{problem.code}",
            "title": self.title(problem.code),
            "status": problem.status,
            "detail": problem.detail,
            "code": problem.code,
            "errors": problem.errors[:ERRORS_MAX],
            "request_id": request_id,
        }
        return orjson.dumps({**problem.extra, **body})

    def title(self, code: str) -> str:
        known = self.types.get(code)
        return known.title if known else code.replace("_", " ").capitalize()

    def _status(self, exc: SmsgateError) -> int:
        known = self.types.get(exc.code)
        return known.status if known else exc.http_status


def _retry() -> dict[str, str]:
    return {"Retry-After": str(RETRY_AFTER_S)}


_HTTP_CODES: Final = {
    400: "http_invalid",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "body_too_large",
    415: "media_type_unsupported",
    417: "expectation_failed",
}


def _of_http(exc: web.HTTPException) -> Problem:
    """Translate what aiohttp raises itself: no route, wrong method, unreadable request."""
    code = _HTTP_CODES.get(exc.status, "http_invalid" if exc.status < 500 else "internal")
    status = exc.status if exc.status in _HTTP_CODES else _STATUS[code]
    headers = {"Allow": exc.headers["Allow"]} if "Allow" in exc.headers else {}
    details = {
        404: "There is no such route.",
        405: f"Allowed here: {headers.get('Allow', '')}.",
        417: "Nothing but 100-continue can be expected.",
    }
    return Problem(code, status, details.get(status, "The request cannot be read."), headers=headers)
