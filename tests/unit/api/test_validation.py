"""What a person is told who wrote something else than the API takes."""

from __future__ import annotations

import json

import pytest

from smsgate.api.models import QueryModel, RequestModel
from smsgate.api.problems import Refusal
from smsgate.api.routes_campaigns import CreateCampaign
from smsgate.api.routes_messages import MessageQuery, SendMessage
from smsgate.api.routes_offers import CreateOffer
from smsgate.api.routes_operator import CreateMerchant
from smsgate.api.validation import no_such_member, validated

POINT = 'write it as decimal text with a point: "19.90"'
OFFSET = "add the offset: 2026-11-24T10:00:00Z"


def said(model: type[RequestModel], body: object, pointer: str) -> str:
    octets = json.dumps(body).encode()
    with pytest.raises(Refusal) as caught:
        validated(model, lambda: model.model_validate_json(octets))
    return next(str(error["detail"]) for error in caught.value.errors if error["pointer"] == pointer)


@pytest.mark.parametrize(
    ("model", "body", "pointer", "sentence"),
    [
        (CreateOffer, {"stok": 5}, "/stok", "no such member; did you mean stock?"),
        (CreateOffer, {"zzzz": 5}, "/zzzz", "no such member"),
        (CreateOffer, {"price": "19,90"}, "/price", POINT),
        (CreateOffer, {"price": "-1"}, "/price", POINT),
        (CreateOffer, {"price": "19.90 EUR"}, "/price", POINT),
        (CreateOffer, {"price": 19.9}, "/price", POINT),
        (CreateOffer, {"expires_at": "2026-11-24T10:00:00"}, "/expires_at", OFFSET),
        (CreateOffer, {"expires_at": "tomorrow"}, "/expires_at", OFFSET),
        (CreateCampaign, {"audience": {"all": "yes"}}, "/audience/all", "true, or leave it out"),
        (
            CreateCampaign,
            {"audience": {"tag": ["jazz"]}},
            "/audience/tag",
            "no such member; did you mean tags?",
        ),
        (
            CreateCampaign,
            {"offer": {"prise": "1"}},
            "/offer/CreateOffer/prise",
            "no such member; did you mean price?",
        ),
        (
            SendMessage,
            {"wap_push": {"kind": "sl", "href": "https://x.example", "text": "x"}},
            "/wap_push/sl/text",
            "no such member",
        ),
        (
            SendMessage,
            {"wap_push": {"kind": "sl", "href": "https://x.example", "actoin": "cache"}},
            "/wap_push/sl/actoin",
            "no such member; did you mean action?",
        ),
        (
            SendMessage,
            {"wap_push": {"kind": "si", "href": "https://x.example", "text": "x", "txt": "x"}},
            "/wap_push/si/txt",
            "no such member; did you mean text?",
        ),
        (CreateMerchant, {"country": "fr"}, "/country", "write two capital letters of ISO 3166: FR"),
    ],
)
def test_a_mistake_is_told_as_what_to_write(
    model: type[RequestModel], body: object, pointer: str, sentence: str
) -> None:
    assert said(model, body, pointer) == sentence


def test_a_name_that_cannot_stand_there_is_not_suggested_for_itself() -> None:
    assert no_such_member("text", ["text", "txt"]) == "no such member; did you mean txt?"
    assert no_such_member("text", ["text"]) == "no such member"


def test_an_unknown_name_of_the_query_is_told_the_nearest() -> None:
    model: type[QueryModel] = MessageQuery
    with pytest.raises(Refusal, match=r"^/campain: no such member; did you mean campaign\?$"):
        validated(model, lambda: model.model_validate({"campain": "x"}))
