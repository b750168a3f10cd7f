"""Requests against their models, and what a person is told to write instead: pydantic's words end here."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from smsgate.api.problems import Refusal

Model = TypeVar("Model", bound=BaseModel)

INSTANT: Final = "add the offset: 2026-11-24T10:00:00Z"
_INSTANT_ERRORS: Final = ("datetime_", "timezone_")
_BRANCHES: Final = 8  # models of one member that are looked through for its names


def validated(model: type[Model], validate: Callable[[], Model]) -> Model:
    """
    Return what `validate` makes.

    Raises:
        Refusal: `invalid`, with a pointer and a sentence for each value that cannot be taken.
    """
    try:
        return validate()
    except ValidationError as exc:
        found = exc.errors(include_url=False, include_input=False)
    errors: list[Mapping[str, object]] = [
        {"pointer": pointer_of(error["loc"]), "detail": _sentence(error, model), "code": error["type"]}
        for error in found
    ]
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    detail = f"{first['pointer'] or 'the body'}: {first['detail']}{more}"
    raise Refusal("invalid", detail if detail.endswith("?") else f"{detail}.", errors=errors)


def pointer_of(location: Sequence[str | int]) -> str:
    """Return the JSON pointer (RFC 6901) of a pydantic location; a member's name is its own place."""
    steps = [step for step in location if step != "[key]"]
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


def no_such_member(name: str, known: Sequence[str]) -> str:
    """Say so, and name the nearest of `known`; the name itself may be known, in another place."""
    near = difflib.get_close_matches(name, [each for each in known if each != name], 1)
    return f"no such member; did you mean {near[0]}?" if near else "no such member"


def _sentence(error: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return no_such_member(str(error["loc"][-1]), _members(model, error["loc"][:-1]))
    if kind.startswith(_INSTANT_ERRORS):
        return INSTANT
    if kind == "literal_error" and context.get("expected") == "True":
        return "true, or leave it out"
    return error["msg"].removeprefix("Value error, ")


def _members(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Return the names that are known at a place; steps that are no member name a branch of a union."""
    models = [model]
    for step in location:
        inner = [
            each
            for outer in models
            if step in outer.model_fields
            for each in _models_in(outer.model_fields[str(step)].annotation)
        ]
        named = [each for each in models if each.__name__ == step or step in _tags(each)]
        models = inner[:_BRANCHES] or named or models
    return [name for each in models for name in each.model_fields]


def _tags(model: type[BaseModel]) -> list[object]:
    """Return the values by which unions know the model: its members with one value that must be there."""
    kinds = [field.annotation for field in model.model_fields.values() if field.is_required()]
    return [value for kind in kinds if get_origin(kind) is Literal for value in get_args(kind)]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
