"""What a person may ask of a merchant: access, erasure; and who must not be written to at all."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from smsgate.api.commerce import commerce
from smsgate.api.models import AnswerModel, Instant, Page, PageQuery, QueryModel, RequestModel
from smsgate.api.problems import ProblemType
from smsgate.api.routes_orders import PROOF_MEDIA_TYPE
from smsgate.api.routing import Answer, Call, Route, Text
from smsgate.errors import Invalid
from smsgate.flows.person_requests import PersonRequests
from smsgate.flows.ports_privacy import (
    NOBODY,
    BlockReason,
    DataRequestRow,
    Lift,
    OfNumber,
    PrivacyStore,
    Whom,
)
from smsgate.msisdn import normalize
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

PROBLEMS: Final = (
    ProblemType(
        "blocked_by_carrier",
        409,
        "A carrier's list blocks this number",
        "Ask the operator to lift the block.",
    ),
)
CHECK_MAX: Final = 1_000  # numbers of one question

Number = Annotated[str, StringConstraints(min_length=1, max_length=40)]


class SuppressionQuery(QueryModel):
    msisdn: Number = Field(description="International form.")


class CheckSuppressions(RequestModel):
    msisdns: list[Number] = Field(min_length=1, max_length=CHECK_MAX, description="International form.")


class CreateSuppression(RequestModel):
    msisdn: Number = Field(description="International form.")
    reason: BlockReason


class LiftBlock(RequestModel):
    """Kept for good with who and why."""

    decided_by: Annotated[str, StringConstraints(min_length=1, max_length=60)] = Field(
        description="Who decided, as your own system names the person."
    )
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)]


class LiftSuppression(LiftBlock):
    msisdn: Number = Field(description="International form.")


class Lifted(AnswerModel):
    """The person is among those who said STOP now: START, or a newer consent, begins again."""

    blocked: Literal[False]


class Suppression(AnswerModel):
    """Nobody is told whom else the number is known to."""

    msisdn: str
    suppressed: bool
    reason: str | None = Field(description="erased, wrong_person, death, child, complaint or carrier.")
    since: Instant | None


class Suppressions(AnswerModel):
    data: list[Suppression]


class CreateDataRequest(RequestModel):
    """Of a subscriber, or of a number."""

    kind: Literal["access", "erasure"]
    subscriber: str | None = Field(default=None, max_length=64)
    msisdn: Number | None = Field(
        default=None,
        description="International form: also of somebody who is no subscriber any more, while messages, "
        "replies and orders are kept.",
    )


class DataRequest(AnswerModel):
    id: str
    kind: str
    subscriber: str | None = Field(description="null: a number that was no subscriber's.")
    records: int = Field(description="Handed out, or erased.")
    created_at: Instant
    state: Literal["done", "under_way"] = Field(
        description="under_way: what was being written when the person was erased is removed in moments."
    )
    file: dict[str, object] | None = Field(description="Of an access: every record, in the answer alone.")


async def get_suppression(call: Call) -> Answer:
    return (await _check(call, [call.query_as(SuppressionQuery).msisdn])).data[0]


async def check_suppressions(call: Call) -> Answer:
    return await _check(call, call.body_as(CheckSuppressions).msisdns)


async def create_suppression(call: Call) -> Answer:
    body = call.body_as(CreateSuppression)
    msisdn, now = int(_msisdn(body.msisdn, "/msisdn")), call.context.clock.now()
    await _person_requests(call).block(msisdn, body.reason)
    return Suppression(msisdn=f"+{msisdn}", suppressed=True, reason=body.reason, since=now)


async def lift_suppression(call: Call) -> Answer:
    body = call.body_as(LiftSuppression)
    msisdn = int(_msisdn(body.msisdn, "/msisdn"))
    await _privacy(call).unblock(msisdn, None, _lift(call, body), call.context.clock.now())
    return Lifted(blocked=False)


async def unblock_subscriber(call: Call) -> Answer:
    by = _lift(call, call.body_as(LiftBlock))
    subscriber_id = call.path_id(Kind.SUBSCRIBER)
    await _privacy(call).unblock_subscriber(call.merchant_id, subscriber_id, by, call.context.clock.now())
    return Lifted(blocked=False)


def _lift(call: Call, body: LiftBlock) -> Lift:
    return Lift(body.decided_by, body.reason, call.key.public_id)


async def create_data_request(call: Call) -> Answer:
    body = call.body_as(CreateDataRequest)
    whom = _whom(call, body)
    if body.kind == "access":
        row, file = await _person_requests(call).access(call.merchant_id, whom)
        return _request(call, row, dict(file))
    return _request(call, await _person_requests(call).erase(call.merchant_id, whom))


def _whom(call: Call, body: CreateDataRequest) -> Whom:
    if body.subscriber is not None and body.msisdn is None:
        return call.decode(Kind.SUBSCRIBER, body.subscriber)
    if body.msisdn is not None and body.subscriber is None:
        return OfNumber(int(_msisdn(body.msisdn, "/msisdn")))
    raise Invalid("name either subscriber or msisdn", pointer="")


async def list_data_requests(call: Call) -> Answer:
    page = await _privacy(call).requests(call.merchant_id, call.page_ask(Kind.DATA_REQUEST))
    rows = [_request(call, row) for row in page.rows]
    return call.page_answer(Page[DataRequest], rows, page.has_more)


async def get_consent_proof(call: Call) -> Answer:
    consent_id = call.path_id(Kind.CONSENT)
    octets = await commerce(call).consent_proofs.of_consent(call.merchant_id, consent_id)
    name = f'attachment; filename="{call.public(Kind.CONSENT, consent_id)}.proof"'
    return Text(octets, PROOF_MEDIA_TYPE, {"Content-Disposition": name})


def _privacy(call: Call) -> PrivacyStore:
    assert call.context.privacy is not None
    return call.context.privacy


def _person_requests(call: Call) -> PersonRequests:
    context = call.context
    files = None if context.reports is None else context.reports.usage_files
    return PersonRequests(_privacy(call), files, context.stops, context.ids, context.clock)


async def _check(call: Call, written: list[str]) -> Suppressions:
    numbers = [int(_msisdn(text, f"/msisdns/{place}")) for place, text in enumerate(written)]
    found = await _privacy(call).suppressed(call.merchant_id, numbers)
    return Suppressions(
        data=[
            Suppression(
                msisdn=f"+{number}",
                suppressed=number in found,
                reason=found[number].reason if number in found else None,
                since=found[number].since if number in found else None,
            )
            for number in numbers
        ]
    )


def _msisdn(text: str, pointer: str) -> str:
    try:
        return normalize(text)
    except Invalid as exc:
        raise Invalid(str(exc), code=exc.code, pointer=pointer) from None


def _request(call: Call, row: DataRequestRow, file: dict[str, object] | None = None) -> DataRequest:
    return DataRequest(
        id=call.public(Kind.DATA_REQUEST, row.request_id),
        kind=row.kind,
        subscriber=None if row.subscriber_id == NOBODY else call.public(Kind.SUBSCRIBER, row.subscriber_id),
        records=row.records,
        created_at=row.created_at,
        state=row.state,
        file=file,
    )


ROUTES: Final = (
    Route("GET", "/v1/suppressions", get_suppression, "Ask whether a number may be written to",
          Scope.SUBSCRIBERS, query=SuppressionQuery, response=Suppression, errors=("msisdn_invalid",)),
    Route("POST", "/v1/suppressions/check", check_suppressions, "Ask about many numbers", Scope.SUBSCRIBERS,
          request=CheckSuppressions, response=Suppressions, errors=("msisdn_invalid",)),
    Route("POST", "/v1/suppressions", create_suppression, "Block a number for every merchant", Scope.OPERATOR,
          request=CreateSuppression, response=Suppression, status=201, errors=("msisdn_invalid",),
          description="For complaints and carriers' lists. What is kept is a keyed hash."),
    Route("POST", "/v1/suppressions/lift", lift_suppression, "Lift a block for all", Scope.OPERATOR,
          request=LiftSuppression, response=Lifted, errors=("msisdn_invalid",),
          description="Whoever had the number has it as unsubscribed; 404 where it is not blocked."),
    Route("POST", "/v1/subscribers/{id}/unblock", unblock_subscriber, "Lift your own block of a person",
          Scope.SUBSCRIBERS, request=LiftBlock, response=Lifted, errors=("blocked_by_carrier",),
          description="Other merchants' blocks stay. The person is unsubscribed then: START, or a newer "
                      "consent, begins again. 404 where the person is not blocked."),
    Route("POST", "/v1/data_requests", create_data_request, "Hand out or erase a person's data",
          Scope.SUBSCRIBERS, request=CreateDataRequest, response=DataRequest, status=201,
          errors=("msisdn_invalid",),
          description="Access answers with every record as one file. Erasure removes number and texts; "
                      "orders stay under the subscriber's id, and a keyed hash keeps the number out."),
    Route("GET", "/v1/consents/{id}/proof", get_consent_proof, "What was agreed and what came of it, signed",
          Scope.READ, media_type=PROOF_MEDIA_TYPE),
    Route("GET", "/v1/data_requests", list_data_requests, "List data requests", Scope.READ, query=PageQuery,
          response=Page[DataRequest]),
)  # fmt: skip
