"""Simulated phones of a test key: what they got, and what they answer."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from smsgate.api.commerce import commerce, msisdn_from_text
from smsgate.api.models import AnswerModel, Page, PageQuery, RequestModel
from smsgate.api.problems import ProblemType
from smsgate.api.routes_messages import InboundMessage, Message, as_inbound, as_message
from smsgate.api.routing import Answer, Call, Route
from smsgate.errors import DomainError
from smsgate.flows.test_mode import PhoneBlock, check_phone
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

TEXT_CHARACTERS_MAX: Final = 1_000  # more than a phone sends in one text

PROBLEMS: Final = (
    ProblemType("test_mode", 403, "Only test keys have simulated phones", "Ask the operator for a test key."),
    ProblemType(
        "phone_simulated", 422, "A simulated phone", "Write to it with a test key: a live key reaches people."
    ),
    ProblemType(
        "phone_not_simulated",
        422,
        "Not one of your simulated phones",
        "`GET /v1/test/phones` says which are yours.",
    ),
    ProblemType(
        "nobody_there", 422, "Nobody hears this phone", "Make it a subscriber and send it something first."
    ),
)


class Phones(AnswerModel):
    first: str = Field(description="A test key may write to the numbers from here")
    last: str = Field(description="to here, all of them simulated.")
    country: str = Field(description="Where they are at home: hours and law are this country's.")


class SendReply(RequestModel):
    text: Annotated[str, StringConstraints(min_length=1, max_length=TEXT_CHARACTERS_MAX)]
    to: Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{3,15}$")] = Field(
        description="The sender number that is answered."
    )


async def list_phones(call: Call) -> Answer:
    phones = _phones(call)
    return Phones(first=f"+{phones.numbers[0]}", last=f"+{phones.numbers[-1]}", country=phones.country)


async def list_phone_messages(call: Call) -> Answer:
    msisdn = _phone(call)
    (subscriber_id,) = await commerce(call).campaigns.subscriber_ids(call.merchant_id, [msisdn])
    page = await commerce(call).messages.page(
        call.merchant_id, call.page_ask(Kind.MESSAGE), subscriber_id=subscriber_id
    )
    return call.page_answer(Page[Message], [as_message(call, row) for row in page.rows], page.has_more)


async def send_reply(call: Call) -> Answer:
    body, phones = call.body_as(SendReply), call.context.phones
    assert phones is not None
    inbound_id = await phones.reply(call.merchant_id, _phone(call), body.to.removeprefix("+"), body.text)
    return as_inbound(call, await commerce(call).messages.get_inbound(call.merchant_id, inbound_id))


def _phones(call: Call) -> PhoneBlock:
    phones = call.key.phones
    if phones is None:
        raise DomainError("a live key has no simulated phones", code="test_mode", http_status=403)
    return phones


def _phone(call: Call) -> int:
    phones = _phones(call)
    msisdn = msisdn_from_text(call.path_text("msisdn"), "")
    check_phone(msisdn, phones)
    return msisdn


_PATH: Final = "/v1/test/phones"

ROUTES: Final = (
    Route(
        "GET",
        _PATH,
        list_phones,
        "Which numbers a test key may write to",
        Scope.READ,
        response=Phones,
        errors=("test_mode",),
    ),
    Route(
        "GET",
        f"{_PATH}/{{msisdn}}/messages",
        list_phone_messages,
        "What a simulated phone got, and what waits for it",
        Scope.READ,
        query=PageQuery,
        response=Page[Message],
        errors=("test_mode", "msisdn_invalid", "phone_not_simulated", "subscriber_unknown"),
    ),
    Route(
        "POST",
        f"{_PATH}/{{msisdn}}/replies",
        send_reply,
        "Answer on a simulated phone",
        Scope.SEND,
        request=SendReply,
        response=InboundMessage,
        status=201,
        errors=("test_mode", "msisdn_invalid", "phone_not_simulated", "nobody_there"),
        description="It is read and decided as what a carrier delivers; the answer says what came of it.",
    ),
)
