"""The operator's routes for other companies' ESMEs: accounts, passwords, who is bound."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from smsgate.api.models import AnswerModel, Instant, Page, PageQuery, RequestModel
from smsgate.api.problems import ProblemType
from smsgate.api.routing import Answer, Call, Route
from smsgate.flows.esme_accounts import AccountAsk, EsmeAccounts
from smsgate.flows.esme_records import (
    BINDS_DEFAULT,
    QUEUE_DEFAULT,
    RATE_DEFAULT_PER_S,
    WINDOW_DEFAULT,
    EsmeAccount,
    Purpose,
)
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

PROBLEMS: Final = (
    ProblemType(
        "number_not_own", 422, "Other merchants use this number", "Give the merchant one of its own."
    ),
)
_LIST_MAX: Final = 100


class CreateEsme(RequestModel):
    system_id: str = Field(max_length=15, description="What the ESME binds as; unique.")
    senders: list[str] = Field(
        min_length=1,
        max_length=_LIST_MAX,
        description="Numbers and names it may send from; the first is used where a message names none.",
    )
    numbers: list[str] = Field(
        default=[],
        max_length=_LIST_MAX,
        description="Numbers of this merchant alone whose MOs it gets, instead of the reply reader.",
    )
    purpose: Purpose = Field(
        default=Purpose.TRANSACTIONAL,
        strict=False,
        description="`marketing` reaches subscribers who agreed, and nobody else.",
    )
    binds_max: int = Field(default=BINDS_DEFAULT, description="Sessions at once.")
    window_max: int = Field(default=WINDOW_DEFAULT, description="deliver_sm without an answer, per session.")
    rate_per_s: int = Field(default=RATE_DEFAULT_PER_S, description="Segments a second.")
    queue_max: int = Field(default=QUEUE_DEFAULT, description="Messages that wait to leave.")
    daily_max: int | None = Field(default=None, description="Segments a day (UTC); null: no limit.")
    allow_binary: bool = Field(default=False, description="Binary messages, ports and WAP Push.")
    join_mo: bool = Field(default=False, description="Long MOs in one piece instead of part by part.")


class ChangeEsme(RequestModel):
    state: Literal["active", "disabled"] = Field(description="`disabled` ends its sessions.")


class Esme(AnswerModel):
    id: str
    merchant: str
    system_id: str
    purpose: str
    active: bool = Field(description="The account is, and its merchant too.")
    senders: list[str]
    numbers: list[str]
    binds_max: int
    window_max: int
    rate_per_s: int
    queue_max: int
    daily_max: int | None
    allow_binary: bool
    join_mo: bool
    created_at: Instant


class EsmePassword(Esme):
    password: str = Field(description="Shown this once.")


class EsmeSession(AnswerModel):
    system_id: str
    merchant: str
    bind: str = Field(description="trx, tx or rx.")
    peer: str
    interface_version: int
    since: Instant
    submits: int
    refused: int
    delivered: int = Field(description="Receipts and MOs that it was given.")
    window_used: int
    window_max: int


class EsmeSessions(AnswerModel):
    data: list[EsmeSession]


async def create_esme(call: Call) -> Answer:
    body = call.body_as(CreateEsme)
    merchant = await call.context.merchants.operated(call.path_id(Kind.MERCHANT))
    account, password = await _accounts(call).add(
        merchant,
        AccountAsk(**{**body.model_dump(), "senders": tuple(body.senders), "numbers": tuple(body.numbers)}),
    )
    return EsmePassword(**_esme(call, account).model_dump(), password=password)


async def list_esmes(call: Call) -> Answer:
    page = await _accounts(call).store.page(call.path_id(Kind.MERCHANT), call.page_ask(Kind.ESME))
    return call.page_answer(Page[Esme], [_esme(call, row) for row in page.rows], page.has_more)


async def change_esme(call: Call) -> Answer:
    active = call.body_as(ChangeEsme).state == "active"
    return _esme(call, await _accounts(call).store.set_active(call.path_id(Kind.ESME), active=active))


async def set_esme_password(call: Call) -> Answer:
    account, password = await _accounts(call).new_password(call.path_id(Kind.ESME))
    return EsmePassword(**_esme(call, account).model_dump(), password=password)


async def list_esme_sessions(call: Call) -> Answer:
    bound = call.context.esme_sessions
    return EsmeSessions(
        data=[
            EsmeSession(
                system_id=session.system_id,
                merchant=call.public(Kind.MERCHANT, session.merchant_id),
                bind=session.kind,
                peer=session.peer,
                interface_version=session.version,
                since=session.since,
                submits=session.submits,
                refused=session.refused,
                delivered=session.delivered,
                window_used=session.window_used,
                window_max=session.window_max,
            )
            for session in (bound.sessions() if bound is not None else [])
        ]
    )


def _accounts(call: Call) -> EsmeAccounts:
    assert call.context.esmes is not None, "the composition root gives it"
    return call.context.esmes


def _esme(call: Call, row: EsmeAccount) -> Esme:
    return Esme(
        id=call.public(Kind.ESME, row.account_id),
        merchant=call.public(Kind.MERCHANT, row.merchant_id),
        system_id=row.system_id,
        purpose=row.purpose.value,
        active=row.active,
        senders=list(row.senders),
        numbers=list(row.numbers),
        binds_max=row.binds_max,
        window_max=row.window_max,
        rate_per_s=row.rate_per_s,
        queue_max=row.queue_max,
        daily_max=row.daily_max,
        allow_binary=row.allow_binary,
        join_mo=row.join_mo,
        created_at=row.created_at,
    )


_OPERATOR: Final = Scope.OPERATOR

ROUTES: Final = (
    # Not idempotent by key: the answers hold a secret, which is kept nowhere.
    Route("POST", "/v1/merchants/{id}/esmes", create_esme,
          "Create an account for a merchant's ESME; its password is shown this once", _OPERATOR,
          request=CreateEsme, response=EsmePassword, status=201,
          errors=("name_taken", "sender_unknown", "number_not_own"), idempotent=False),
    Route("GET", "/v1/merchants/{id}/esmes", list_esmes, "List a merchant's ESME accounts", _OPERATOR,
          query=PageQuery, response=Page[Esme]),
    Route("PATCH", "/v1/esmes/{id}", change_esme, "Disable or enable an ESME account", _OPERATOR,
          request=ChangeEsme, response=Esme),
    Route("POST", "/v1/esmes/{id}/password", set_esme_password,
          "Give an ESME account a new password; it is shown this once", _OPERATOR, response=EsmePassword,
          idempotent=False),
    Route("GET", "/v1/esme_sessions", list_esme_sessions, "List the ESMEs that are bound to this process",
          _OPERATOR, response=EsmeSessions),
)  # fmt: skip
