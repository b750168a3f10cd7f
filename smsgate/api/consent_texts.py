"""What the API has the gateway write to a person about a consent: the double opt-in's question, a welcome."""

from __future__ import annotations

from typing import Final

from smsgate.api.commerce import commerce
from smsgate.api.routing import Call
from smsgate.campaigns.consent import LESS_PERIOD, Purpose
from smsgate.campaigns.texts import often_text, spoken, system_text, topic_text
from smsgate.flows.commerce_records import MerchantProfile, SystemMessage
from smsgate.flows.ports_api import SubscriberRow
from smsgate.flows.system_messages import SYSTEM_MESSAGE_LIFE
from smsgate.protocol.encodings import UCS2

QUESTION_SENDER: Final = "/double_opt_in/sender"
WELCOME_SENDER: Final = "/welcome/sender"


async def question(call: Call, subscriber_id: int, purpose: Purpose, sender: str) -> SystemMessage:
    """Return the double opt-in's question as it would be sent."""
    merchant = await commerce(call).offers.check_asking(call.merchant_id, sender, QUESTION_SENDER)
    person = await call.context.subscribers.get(call.merchant_id, subscriber_id)
    language = _language(call, merchant, person, sender)
    if purpose is Purpose.OFFERS:
        kind, text = "optin_question", system_text("optin_question", language, shop=merchant.name)
    else:
        kind, topic = "optin_topic_question", topic_text([purpose], language)
        text = system_text(kind, language, shop=merchant.name, topic=topic)
    return _message(call, person, kind, sender, text)


async def welcome(call: Call, subscriber_id: int, purpose: Purpose, sender: str) -> SystemMessage:
    """Return the welcome as a START gets it; who asked for fewer messages hears how few come."""
    merchant = await commerce(call).offers.check_asking(call.merchant_id, sender, WELCOME_SENDER)
    person = await call.context.subscribers.get(call.merchant_id, subscriber_id)
    language = _language(call, merchant, person, sender)
    if purpose is not Purpose.OFFERS:
        kind, fields = "topic_welcome", {"topic": topic_text([purpose], language)}
    elif person.fewer:
        kind, fields = "less_confirmation", {"days": str(LESS_PERIOD.days)}
    else:
        often = often_text(call.context.gates.caps.merchant_week_max, language)
        kind, fields = "start_welcome", {"often": often}
    text = system_text(kind, language, shop=merchant.name, **fields)
    return _message(call, person, kind, sender, text)


def _language(call: Call, merchant: MerchantProfile, person: SubscriberRow, sender: str) -> str:
    ucs2 = UCS2 in commerce(call).offers.alphabets(sender)
    return spoken(person.language, merchant.language, ucs2=ucs2)


def _message(call: Call, person: SubscriberRow, kind: str, sender: str, text: str) -> SystemMessage:
    return SystemMessage(
        merchant_id=call.merchant_id,
        message_id=call.context.ids.next(),
        msisdn=person.msisdn,
        kind=kind,
        sender=sender,
        body=text,
        expires_at=call.context.clock.now() + SYSTEM_MESSAGE_LIFE,
        subscriber_id=person.subscriber_id,
    )
