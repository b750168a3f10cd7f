"""A link as WAP Push: what a request says of it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints

from smsgate.api.models import Instant, RequestModel, no_control, written_as
from smsgate.errors import Invalid
from smsgate.protocol.wap_push import Indication, Loading, SiAction, SlAction

HREF_CHARACTERS_MAX: Final = 1_000  # more than eight segments hold anyway
_SI_ID_CHARACTERS_MAX: Final = 100

Href = Annotated[
    str,
    StringConstraints(pattern=r"^https?://[!-~]+$", max_length=HREF_CHARACTERS_MAX),
    written_as(f"write an http:// or https:// address in ASCII, at most {HREF_CHARACTERS_MAX:,} characters"),
]


class ServiceIndication(RequestModel):
    """A sentence with a link, which the phone shows."""

    kind: Literal["si"]
    href: Href
    text: Annotated[str, StringConstraints(min_length=1, max_length=1_000), AfterValidator(no_control)]
    action: Literal["signal-none", "signal-low", "signal-medium", "signal-high", "delete"] | None = Field(
        default=None,
        description="How loud the phone is; null: signal-medium. delete takes back the one of `id`.",
    )
    id: Annotated[str, StringConstraints(max_length=_SI_ID_CHARACTERS_MAX), AfterValidator(no_control)] = (
        Field(default="", description="Names it, for a later one that replaces or deletes it.")
    )
    created_at: Instant | None = None
    expires_at: Instant | None = Field(default=None, description="When the phone may throw it away.")


class ServiceLoading(RequestModel):
    """A link that the phone opens, if its owner lets it."""

    kind: Literal["sl"]
    href: Href
    action: Literal["execute-low", "execute-high", "cache"] | None = Field(
        default=None, description="null: execute-low."
    )


WapPush = Annotated[ServiceIndication | ServiceLoading, Field(discriminator="kind")]


def push_document(asked: ServiceIndication | ServiceLoading) -> Indication | Loading:
    """
    Return what the phone is to get.

    Raises:
        Invalid: a deletion that does not say of what, or an end before the beginning.
    """
    if isinstance(asked, ServiceLoading):
        return Loading(asked.href, None if asked.action is None else SlAction(asked.action))
    if asked.action == "delete" and not asked.id:
        raise Invalid("name the indication to delete by its id", pointer="/wap_push/id")
    if asked.created_at and asked.expires_at and asked.expires_at < asked.created_at:
        raise Invalid("expires_at is before created_at", pointer="/wap_push/expires_at")
    action = None if asked.action is None else SiAction(asked.action)
    return Indication(asked.href, asked.text, action, asked.created_at, asked.expires_at, asked.id)
