"""What the buyer of an order has to do first, such as to pay at a link, and by when."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from smsgate.errors import Invalid, TransitionRefused

LINK_CHARACTERS_MAX: Final = 30  # it stands in one SMS beside what it is for
ACTION_DAYS_MAX: Final = 14  # nobody remembers a longer one
# Those of a URI (RFC 3986 2). All alphabets of texts have them as they are; others a text would replace.
_LINK: Final = re.compile(rf"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]{{1,{LINK_CHARACTERS_MAX}}}")


class Action(NamedTuple):
    link: str
    until: datetime

    def fields(self, timezone: str) -> dict[str, str | int]:
        """Return what the text for the buyer says of it: a time of the merchant's clocks."""
        return {"link": self.link, "until": f"{self.until.astimezone(ZoneInfo(timezone)):%d.%m. %H:%M}"}


def action_of(link: str, until: datetime, now: datetime) -> Action:
    """
    Return what a shop asks of a buyer.

    Raises:
        Invalid: code `action_invalid`; the link would not arrive as it is written, or the time is over, or
            too far ahead.
    """
    if not _LINK.fullmatch(link):
        raise Invalid(
            f"link takes 1 to {LINK_CHARACTERS_MAX} characters of a URI: letters, digits and "
            "-._~:/?#[]@!$&'()*+,;=%",
            code="action_invalid",
            pointer="/link",
        )
    if not now < until <= now + timedelta(days=ACTION_DAYS_MAX):
        raise Invalid(
            f"until must be ahead, at most {ACTION_DAYS_MAX} days",
            code="action_invalid",
            pointer="/until",
        )
    return Action(link, until)


def is_asked(action: Action, details: Iterable[Mapping[str, object]], *, automatic: bool) -> bool:
    """
    Return whether the buyer was asked for this already, by the details of the steps that asked, in order.

    A program answers an event late, or again: it corrects nothing, as a person may have done since.

    Raises:
        TransitionRefused: code `order_state`.
    """
    asked = [Action(str(each.get("link")), datetime.fromisoformat(str(each["until"]))) for each in details]
    if not automatic:
        return asked[-1:] == [action]
    if asked and action not in asked:
        raise TransitionRefused("the buyer was asked to act otherwise already", code="order_state")
    return bool(asked)
