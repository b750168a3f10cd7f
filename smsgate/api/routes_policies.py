"""What holds marketing back, read only: hours by place, sender numbers, caps, the reach of a STOP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from pydantic import Field

from smsgate.api.models import AnswerModel, CountryCode, QueryModel
from smsgate.api.routing import Answer, Call, Route
from smsgate.campaigns.hours import HoursRule, Place, Window, hours_rules, rules_at
from smsgate.campaigns.places import check_place
from smsgate.campaigns.sender_rules import SenderRule, law_of, sender_rules
from smsgate.security.api_keys import Scope

PROBLEMS: Final = ()


class PolicyQuery(QueryModel):
    """With a country: the rules of that place, and what they say now."""

    country: CountryCode | None = None
    region: str = Field(
        default="", max_length=3, description="ISO 3166-2 without the country; empty: unknown."
    )
    timezone: str = Field(default="", max_length=40)


class HoursPolicy(AnswerModel):
    rule: str
    countries: list[str]
    regions: list[str] = Field(description="Empty: the whole country.")
    valid_from: date
    valid_to: date | None = Field(description="Excluded.")
    monday_to_friday: str | None = Field(description="Local time; empty: not at all; null: not restricted.")
    saturday: str | None
    sunday: str | None
    holiday: str | None = Field(description="Besides the day's own hours.")
    certain: bool
    waived: bool = Field(description="A doubtful rule that the operator does not follow.")
    says: str
    source: str
    url: str


class SenderPolicy(AnswerModel):
    """Of the rules in force at a place, the one with the longest prefix decides about a sender number."""

    rule: str
    countries: list[str]
    valid_from: date
    valid_to: date | None = Field(description="Excluded.")
    prefixes: list[str] = Field(description="Of a short code, or a number in E.164 without the plus.")
    digits: int = Field(description="In all; 0: any.")
    allowed: bool
    certain: bool = Field(description="False: doubtful, and the stricter reading holds.")
    says: str
    source: str
    url: str


class PlaceNow(AnswerModel):
    allowed: bool
    until: datetime = Field(description="At least until then; or not before.")
    rule: str | None


class CapsPolicy(AnswerModel):
    """Marketing messages a person; 0: no cap. Transactional messages are never counted."""

    person_per_day_max: int
    person_per_week_max: int
    merchant_per_day_max: int
    merchant_per_week_max: int


class StopReachPolicy(AnswerModel):
    since: date
    reach: str


class Policies(AnswerModel):
    hours_enforced: bool
    hours: list[HoursPolicy]
    senders: list[SenderPolicy] = Field(
        description="Which numbers offers may come from; a country without rules takes every number of yours."
    )
    now: PlaceNow | None = Field(description="Of the place that was asked about.")
    caps: CapsPolicy
    stop_reach: list[StopReachPolicy]


async def get_policies(call: Call) -> Answer:
    query = call.query_as(PolicyQuery)
    gates, rules, now = call.context.gates, hours_rules(), None
    if query.country is not None:
        check_place(query.country, query.region, query.timezone)
        place = Place(query.country, query.region, (query.timezone,) if query.timezone else ())
        rules = rules_at(place)
        verdict = gates.hours(place.key, call.context.clock.now())
        if verdict is not None:
            rule = None if verdict.rule is None else verdict.rule.id
            now = PlaceNow(allowed=verdict.allowed, until=verdict.until, rule=rule)
    return Policies(
        hours_enforced=gates.enforce_hours,
        senders=[
            _sender(rule)
            for rule in sender_rules()
            if query.country is None or law_of(query.country) in rule.countries
        ],
        hours=[_hours(rule, waived=rule.id in gates.waived) for rule in rules],
        now=now,
        caps=CapsPolicy(**{name: getattr(gates.caps, name) for name in CapsPolicy.model_fields}),
        stop_reach=[StopReachPolicy(since=each.since, reach=each.reach) for each in call.context.reaches],
    )


def _hours(rule: HoursRule, *, waived: bool) -> HoursPolicy:
    return HoursPolicy(
        rule=rule.id,
        countries=sorted(rule.countries),
        regions=sorted(rule.regions),
        valid_from=rule.since,
        valid_to=None if rule.until == date.max else rule.until,
        monday_to_friday=_clock(rule.days[0]),
        saturday=_clock(rule.days[5]),
        sunday=_clock(rule.days[6]),
        holiday=_clock(rule.holiday),
        certain=rule.certain,
        waived=waived and not rule.certain,
        says=rule.says,
        source=rule.source,
        url=rule.url,
    )


def _sender(rule: SenderRule) -> SenderPolicy:
    return SenderPolicy(
        rule=rule.id,
        countries=sorted(rule.countries),
        valid_from=rule.since,
        valid_to=None if rule.until == date.max else rule.until,
        prefixes=list(rule.prefixes),
        digits=rule.digits,
        allowed=rule.allowed,
        certain=rule.certain,
        says=rule.says,
        source=rule.source,
        url=rule.url,
    )


def _clock(window: Window | None) -> str | None:
    if window is None or not window.end:
        return None if window is None else ""
    return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in (window.begin, window.end))


ROUTES: Final = (
    Route("GET", "/v1/policies", get_policies, "Read what holds marketing back", Scope.READ,
          query=PolicyQuery, response=Policies, errors=("place_invalid",),
          description="Hours and sender numbers by place with their sources, caps, whom a bare STOP ends."),
)  # fmt: skip
