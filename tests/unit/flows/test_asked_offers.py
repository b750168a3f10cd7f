"""Offers that webhooks ask for again: who asks for the same gets the same, and the memory has a bound."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from smsgate.flows.commerce_records import (
    AudienceGroup,
    FoundTrigger,
    KnownPerson,
    MerchantProfile,
    TriggerRecord,
)
from smsgate.flows.webhook_asks import (
    KEY_OCTETS_MAX,
    OFFERS_KEPT,
    AskedOffers,
    KnownTrigger,
    groups_of,
    known_trigger,
)

MAPPING = {"item": "$.item", "price": "$.price", "currency": "EUR", "recipients": "$.to", "stock": "$.stock"}


def a_trigger() -> KnownTrigger:
    at = datetime(2026, 11, 27, tzinfo=UTC)
    stored = {"map": MAPPING, "settings": {"sender": "36111", "text": "x"}}
    record = TriggerRecord(1, 2, "t", stored, b"", None, None, "active", at)
    merchant = MerchantProfile(1, "Boxman", "boxman", "FR", "fr", "Europe/Paris", "EUR", None, "active", ())
    return known_trigger(FoundTrigger(record, merchant), "secret", None)


def an_event(**fields: Any) -> dict[str, Any]:
    return {"item": "CD", "price": "19.90", "to": "+33612345678", **fields}


def test_only_what_the_mapping_reads_for_the_offer_tells_two_offers_apart() -> None:
    offers, trigger = AskedOffers(), a_trigger()
    first = offers.find(trigger, an_event())
    assert offers.find(trigger, an_event(to="+33612345679", note="quick")) is first
    assert offers.find(trigger, an_event(item="LP")) is not first
    another = a_trigger()  # or the same one as it became
    assert offers.find(another, an_event()) is not first


def test_numbers_that_are_equal_to_python_and_not_to_json_are_told_apart() -> None:
    offers, trigger = AskedOffers(), a_trigger()
    found = [offers.find(trigger, an_event(price=price)) for price in (20, 20.0, "20", 20)]
    assert [each is found[0] for each in found] == [True, False, False, True]
    large = offers.find(trigger, an_event(item=2**70))  # more than orjson writes
    assert large.mapped.item == str(2**70)
    assert offers.find(trigger, an_event(item=2**70)) is large
    assert offers.find(trigger, an_event(item=2**70 + 1)) is not large


def test_what_is_kept_holds_nobody_that_a_webhook_named() -> None:
    offers, trigger = AskedOffers(), a_trigger()
    many = [f"+336{n:08}" for n in range(10_000)]
    assert offers.find(trigger, an_event(to=many)).mapped.recipients == ()
    assert offers.find(trigger, an_event(to="+33612345678")).mapped.recipients == ()


def test_no_more_offers_are_kept_than_their_bound_and_none_of_a_document_that_is_long_there() -> None:
    offers, trigger = AskedOffers(), a_trigger()
    first = offers.find(trigger, an_event())
    for n in range(OFFERS_KEPT - 1):
        offers.find(trigger, an_event(item=f"CD {n}"))
    assert offers.find(trigger, an_event()) is first  # and is the newest now
    offers.find(trigger, an_event(item="one more"))
    assert offers.find(trigger, an_event()) is first
    assert len(offers._kept) == OFFERS_KEPT
    long = an_event(item="CD", stock=None) | {
        "item": "x" * 1_990,
        "price": "0" * (KEY_OCTETS_MAX - 1_990) + "1",
    }
    assert offers.find(trigger, long) is not offers.find(trigger, long)


def test_one_person_is_a_group_as_several_are() -> None:
    people = {
        33612345678: KnownPerson(1, "subscribed", "FR"),
        33612345679: KnownPerson(2, "subscribed", "FR"),
        447700900123: KnownPerson(3, "subscribed", "GB"),
    }
    for number in people:
        assert groups_of([number], people) == groups_of([number, number], people)
    assert groups_of(list(people), people) == [
        AudienceGroup("FR", "3361234", 2),
        AudienceGroup("GB", "4477009", 1),
    ]
