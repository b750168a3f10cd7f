"""The OpenAPI 3.1 document, made from the table of routes and the pydantic models."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final, Literal

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from smsgate.api.models import AnswerModel
from smsgate.api.problems import MEDIA_TYPE, ProblemType
from smsgate.api.routing import JSON_MEDIA_TYPE, Body, Route
from smsgate.api.table import PROBLEMS, ROUTES
from smsgate.security.api_keys import Scope
from smsgate.version import VERSION

REF: Final = "#/components/schemas/{model}"
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_Key = tuple[type[BaseModel], Literal["validation", "serialization"]]

# Codes that a route can answer by its form alone.
_ALWAYS: Final = (
    "internal",
    "store_unavailable",
    "store_not_ready",
    "timeout",
    "invalid",
    "http_invalid",
    "expectation_failed",
    "not_found",
)
_WITH_KEY: Final = ("key_missing", "key_invalid", "scope_missing", "merchant_suspended", "rate_limited")
_WITH_BODY: Final = (
    "body_too_large",
    "encoding_unsupported",
    "media_type_unsupported",
    "request_timeout",
    "json_invalid",
)
_BY_KEY: Final = ("idempotency_in_flight", "idempotency_mismatch", "idempotency_key_invalid")


class ProblemError(AnswerModel):
    pointer: str
    detail: str


class Problem(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[dict[str, Any]]
    request_id: str


def problem_codes(route: Route) -> tuple[str, ...]:
    """Return every code that `route` can answer."""
    codes = [*_ALWAYS, *route.errors]
    if route.scope is not None:
        codes += [*_WITH_KEY, "operator_only" if route.scope is Scope.OPERATOR else "merchant_only"]
    if route.method not in {"GET", "DELETE"}:
        codes += _WITH_BODY
    if route.by_key:
        codes += _BY_KEY
    if route.query is not None and "starting_after" in route.query.model_fields:
        codes.append("cursor_unknown")
    return tuple(dict.fromkeys(codes))


@cache
def document_octets() -> bytes:
    return orjson.dumps(document(ROUTES, PROBLEMS))


def document(routes: tuple[Route, ...], problems: tuple[ProblemType, ...]) -> dict[str, Any]:
    types = {problem.code: problem for problem in problems}
    schemas = _Schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, types, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "smsgate",
            "version": VERSION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Offers by SMS that become orders. Errors are RFC 9457 problems.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`Authorization: Bearer sgk_live_...`",
                }
            },
        },
    }


class _Schemas:
    """The models of all routes, each defined once."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        keys: dict[_Key, None] = {(Problem, "serialization"): None}
        for route in routes:
            if route.request is not None:
                keys[route.request, "validation"] = None
            if route.response is not None:
                keys[route.response, "serialization"] = None
        self._refs, top = models_json_schema(list(keys), ref_template=REF)
        self.definitions: dict[str, Any] = top.get("$defs", {})

    def ref(self, model: type[BaseModel], mode: Literal["validation", "serialization"]) -> dict[str, Any]:
        return self._refs[model, mode]


def _operation(route: Route, types: dict[str, ProblemType], schemas: _Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{route.handler.__name__}_{_slug(route)}",
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": _parameters(route),
        "responses": _responses(route, types, schemas),
        "security": [{"key": []}] if route.scope is not None else [],
    }
    if route.description:
        operation["description"] = route.description
    if route.scope is not None:
        operation["x-scope"] = route.scope.value
    if route.request is not None:
        schema = schemas.ref(route.request, "validation")
        operation["requestBody"] = {"required": True, "content": {JSON_MEDIA_TYPE: {"schema": schema}}}
    elif route.takes in {Body.RAW, Body.STREAM}:
        content: dict[str, Any] = {media_type: {} for media_type in route.media_types}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _slug(route: Route) -> str:
    return re.sub(r"\W+", "_", route.path).strip("_") or "root"


def _parameters(route: Route) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    if route.query is not None:
        schema = route.query.model_json_schema(ref_template=REF)
        required = set(schema.get("required", []))
        inner = schema.get("$defs", {})
        for name, found in schema["properties"].items():
            field = _inline(found, inner)
            parameter = {
                "name": name,
                "in": "query",
                "required": name in required,
                "schema": _without_null(field),
            }
            if "description" in field:
                parameter["description"] = field["description"]
            parameters.append(parameter)
    if route.by_key:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "Same key, same request: the first answer again, for at least 24 hours.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!#-\\[\\]-~]+$"},
            }
        )
    return parameters


def _inline(value: Any, definitions: dict[str, Any]) -> Any:
    """Put the small types of a query (enumerations) in the place of their references."""
    if isinstance(value, list):
        return [_inline(item, definitions) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return _inline(definitions[value["$ref"].rpartition("/")[2]], definitions)
    return {key: _inline(item, definitions) for key, item in value.items()}


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """A query parameter is left out, never null."""
    options = [option for option in field.get("anyOf", []) if option != {"type": "null"}]
    if len(options) == 1:
        rest = {
            key: value
            for key, value in field.items()
            if key not in {"anyOf", "default", "title", "description"}
        }
        return {**rest, **options[0]}
    return {key: value for key, value in field.items() if key not in {"title", "description"}}


def _responses(route: Route, types: dict[str, ProblemType], schemas: _Schemas) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status in (route.status, *route.more_statuses):
        response: dict[str, Any] = {"description": route.summary}
        if route.response is not None:
            schema = schemas.ref(route.response, "serialization")
            response["content"] = {JSON_MEDIA_TYPE: {"schema": schema}}
        elif status != 204:
            response["content"] = {route.media_type: {}}
        responses[str(status)] = response
    by_status: dict[int, list[ProblemType]] = {}
    for code in problem_codes(route):
        by_status.setdefault(types[code].status, []).append(types[code])
    for status, found in sorted(by_status.items()):
        text = "; ".join(f"`{problem.code}` {problem.title}" for problem in found)
        content = {MEDIA_TYPE: {"schema": schemas.ref(Problem, "serialization")}}
        known = responses.get(str(status))
        if known is None:
            responses[str(status)] = {"description": text, "content": content}
        else:
            known["content"] = {**known.get("content", {}), **content}
            known["description"] = f"{known['description']}; {text}"
    return dict(sorted(responses.items()))
