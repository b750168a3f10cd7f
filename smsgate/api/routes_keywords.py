"""Words that strangers opt in by, on a merchant's sender numbers."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from smsgate.api.commerce import commerce
from smsgate.api.models import AnswerModel, Instant, Page, PageQuery, RequestModel
from smsgate.api.problems import ProblemType
from smsgate.api.routing import Answer, Call, Route
from smsgate.flows.joining import WORD_CHARACTERS_MAX, KeywordRow
from smsgate.security.api_keys import Scope
from smsgate.security.public_ids import Kind

PROBLEMS: Final = (
    ProblemType("keyword_taken", 409, "The number has that word already", "Choose another word."),
    ProblemType(
        "keyword_reserved",
        422,
        "The word means something already",
        "Take one word that is no yes, no, number or command (STOP, START, HELP, PAUSE) in any language.",
    ),
)

Word = Annotated[str, StringConstraints(min_length=2, max_length=WORD_CHARACTERS_MAX)]


class CreateKeyword(RequestModel):
    sender: str = Field(max_length=20, description="One of your numbers that can receive.")
    word: Word = Field(description="What people text, alone or behind JOIN.")
    wording_version: Annotated[str, StringConstraints(min_length=1, max_length=60)] = Field(
        description="Which text people agree to by it: the poster's, the counter card's."
    )
    double_opt_in: bool = Field(
        default=True, description="Ask once more, and take a yes within 7 days as the consent."
    )


class Keyword(AnswerModel):
    id: str
    sender: str
    word: str = Field(description="As it is compared: without case, accents and signs.")
    wording_version: str
    double_opt_in: bool
    created_at: Instant


async def create_keyword(call: Call) -> Answer:
    body = call.body_as(CreateKeyword)
    row = await commerce(call).keywords.create(
        call.merchant_id, body.sender, body.word, body.wording_version, double_opt_in=body.double_opt_in
    )
    return _keyword(call, row)


async def list_keywords(call: Call) -> Answer:
    page = await commerce(call).keywords.page(call.merchant_id, call.page_ask(Kind.KEYWORD))
    return call.page_answer(Page[Keyword], [_keyword(call, row) for row in page.rows], page.has_more)


async def delete_keyword(call: Call) -> Answer:
    await commerce(call).keywords.delete(call.merchant_id, call.path_id(Kind.KEYWORD))
    return None


def _keyword(call: Call, row: KeywordRow) -> Keyword:
    return Keyword(
        id=call.public(Kind.KEYWORD, row.keyword_id),
        sender=row.sender,
        word=row.word,
        wording_version=row.wording_version,
        double_opt_in=row.double_opt_in,
        created_at=row.created_at,
    )


ROUTES: Final = (
    Route("POST", "/v1/keywords", create_keyword, "Create a keyword that strangers opt in by",
          Scope.SUBSCRIBERS, request=CreateKeyword, response=Keyword, status=201,
          errors=("sender_unknown", "sender_not_reply_capable", "keyword_taken", "keyword_reserved")),
    Route("GET", "/v1/keywords", list_keywords, "List keywords", Scope.READ,
          query=PageQuery, response=Page[Keyword]),
    Route("DELETE", "/v1/keywords/{id}", delete_keyword, "Delete a keyword", Scope.SUBSCRIBERS, status=204,
          description="Who opted in by it stays a subscriber."),
)  # fmt: skip
