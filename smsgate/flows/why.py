"""Why a message waits or was not sent: the rule, one sentence, its source, and when the message may go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from smsgate.campaigns.caps import LESS_RULE, CapLimits
from smsgate.campaigns.consent import LESS_PERIOD
from smsgate.campaigns.hours import hours_rules
from smsgate.flows.records import Hold

CONFIGURATION: Final = "the operator's configuration"
# What became of messages that were never written, by the `reason` of their outcome.
NOT_SENT: Final = {
    "stopped": "The person said STOP, or what may be one, or took the consent back, before it left.",
    "expired": "The offer was over, or in its last 30 minutes, before the message could leave.",
    "cancelled": "The campaign was cancelled before the message left.",
    "withdrawn": "The shop withdrew the offer before the message left.",
    "superseded": "The shop published a new version of the offer before the message left.",
    "quiet_hours": "The hours at the person's place open in the offer's last 30 minutes, or later.",
    "cap": "A cap of messages per person, or a wish for fewer, ends in the offer's last 30 minutes or later.",
    "unclear_reply": "The person wrote what may be a STOP; nobody decided before the offer was nearly over.",
    "open_offer": "Another offer had the person's place on this number until this one was nearly over.",
    "price_missing": "No price was published for the recipient's network.",
    "sender_unknown": "No carrier has the sender number any more.",
    "erased": "The person's data were erased while it waited.",
}


@dataclass(frozen=True, slots=True)
class Why:
    """`until` is when the message may go; None: it never will."""

    reason: str
    rule: str
    says: str
    source: str = CONFIGURATION
    url: str = ""
    certain: bool = True  # False: the rule is doubtful, and holds until the operator waives it
    until: datetime | None = None


def why_held(hold: Hold, caps: CapLimits) -> Why:
    """Return why a message waits."""
    for rule in hours_rules():
        if rule.id == hold.rule:
            return Why(hold.reason, rule.id, rule.says, rule.source, rule.url, rule.certain, hold.until)
    says = {cap.rule: cap.says for cap in caps.caps()}.get(
        hold.rule, "A cap of messages per person is reached."
    )
    if hold.rule == LESS_RULE:
        says = f"The person asked for fewer messages: one offer in {LESS_PERIOD.days} days, until a START."
    if hold.reason == "open_offer":
        says = (
            "Another offer on this number waits for the person's answer, or has its place and is about to be "
            "sent, as a paused campaign's may be; a plain OK must mean one."
        )
    if hold.reason == "unclear_reply":
        says = (
            "The person wrote what may be a STOP: it goes once somebody has decided about that reply in the "
            "inbox, the person has said something plain, or 7 days are over."
        )
    if hold.reason == "sender_unknown":
        says = "No carrier has the sender number: it is looked for every 5 minutes."
    if hold.reason == "budget":
        says = (
            "The prepaid balance, or the cap of the day or the month, does not cover it: a top-up, another "
            "cap, or the next day or month lets it go."
        )
    return Why(hold.reason, hold.rule, says, until=hold.until)


def why_not_sent(reason: str) -> Why:
    """Return why a message was never sent."""
    says = NOT_SENT.get(reason, f"It could not be written as it stands, or no carrier takes it: {reason}.")
    return Why(reason, reason, says)
