"""The tables [[routes]], and whether they fit the carriers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from smsgate.errors import ConfigError, Invalid
from smsgate.links.profile import CarrierProfile
from smsgate.links.senders import senders_of
from smsgate.money import micros_from_text
from smsgate.routing.rules import (
    PRIORITY_MAX,
    WEIGHT_MAX,
    Candidate,
    CarrierFacts,
    Choose,
    Finding,
    Kind,
    Rule,
    find_faults,
)
from smsgate.routing.table import RouteTable

ROUTES_MAX: Final = 1_000
VALUES_MAX: Final = 10_000  # of one condition: the prefixes of a country's network
KEYS_MAX: Final = 100_000  # combinations of one rule's conditions: they are held in memory, one by one
_TABLE: Final = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

Prefix = Annotated[str, Field(pattern=r"^[0-9]{1,15}$")]
NetworkCode = Annotated[str, Field(pattern=r"^([0-9]{3}|[0-9]{5,6})$")]
Name = Annotated[str, Field(min_length=1, max_length=60)]


class RouteCarrier(BaseModel):
    model_config = _TABLE

    carrier: Name = Field(description="the name of a carrier")
    priority: int = Field(strict=True, default=1, ge=1, le=PRIORITY_MAX, description="1 goes first")
    weight: int = Field(
        strict=True, default=1, ge=1, le=WEIGHT_MAX, description="share among carriers of one priority"
    )


def _in_order(value: Any) -> Any:
    """Read plain names as an order of preference."""
    if not isinstance(value, list | tuple):
        return value
    return [
        {"carrier": entry, "priority": place} if isinstance(entry, str) else entry
        for place, entry in enumerate(value, 1)
    ]


class RouteSettings(BaseModel):
    """One rule; `rule` is what the core decides by."""

    model_config = _TABLE

    name: str = Field(
        min_length=1, max_length=60, pattern=r"^[a-z0-9][a-z0-9_-]*$", description='a name like "orange-fr"'
    )
    prefixes: tuple[Prefix, ...] = Field(
        default=(), max_length=VALUES_MAX, description='leading digits of the recipient, like ["336", "337"]'
    )
    networks: tuple[NetworkCode, ...] = Field(
        default=(), max_length=VALUES_MAX, description='MCC+MNC or MCC of the recipient, like ["20801"]'
    )
    senders: tuple[Name, ...] = Field(
        default=(), max_length=VALUES_MAX, description='sender numbers, like ["38123"]'
    )
    kinds: tuple[Literal["offer", "system", "esme"], ...] = Field(
        default=(), description='a list of "offer", "system" and "esme"'
    )
    merchants: tuple[Name, ...] = Field(
        default=(), max_length=VALUES_MAX, description='names of merchants, like ["boxman"]'
    )
    carriers: Annotated[tuple[RouteCarrier, ...], BeforeValidator(_in_order)] = Field(
        default=(),
        max_length=PRIORITY_MAX,
        description='names, the best first, or tables {carrier = "a", priority = 1, weight = 3}',
    )
    choose: Literal["priority", "least_cost"] = Field(
        default="priority", description='"priority" or "least_cost"'
    )
    max_cost: str | None = Field(
        default=None, description='what a segment may cost at most, as text like "0.0450"'
    )
    refuse: bool = Field(strict=True, default=False, description="true: such messages are not sent")

    @field_validator("max_cost")
    @classmethod
    def _is_money(cls, text: str | None) -> str | None:
        if text is not None:
            try:
                micros_from_text(text)
            except Invalid as exc:
                raise ValueError(str(exc)) from None
        return text

    @property
    def rule(self) -> Rule:
        return Rule(
            name=self.name,
            candidates=tuple(Candidate(c.carrier, c.priority, c.weight) for c in self.carriers),
            prefixes=self.prefixes,
            networks=self.networks,
            senders=self.senders,
            kinds=tuple(Kind(kind) for kind in self.kinds),
            merchants=self.merchants,
            choose=Choose(self.choose),
            max_cost_micros=None if self.max_cost is None else micros_from_text(self.max_cost),
            refuse=self.refuse,
        )


def check_routes(routes: Sequence[RouteSettings], carriers: Sequence[CarrierProfile]) -> None:
    """
    Refuse rules that cannot work with these carriers.

    Raises:
        ConfigError: names the first rule, and how to mend it.
    """
    for route in routes:
        sizes = [route.prefixes, route.networks, route.senders, route.kinds, route.merchants]
        keys = 1
        for values in sizes:
            keys *= max(1, len(values))
        if keys > KEYS_MAX:
            raise ConfigError(
                f"route {route.name}: its conditions make {keys} combinations, more than {KEYS_MAX}",
                f"routes.{route.name}",
                "cut it into several routes",
            )
    for fault in find_faults([route.rule for route in routes], carrier_facts(carriers, {})):
        raise refusal(fault)


def refusal(fault: Finding) -> ConfigError:
    """Return the error that a finding is."""
    return ConfigError(
        f"route {fault.rule}: {fault.what}", where=f"routes.{fault.rule}.{fault.key}", mend=fault.mend
    )


def carrier_facts(
    carriers: Sequence[CarrierProfile], currencies: Mapping[str, str]
) -> dict[str, CarrierFacts]:
    """Return what rules need of carriers; `currencies` are of the cost lists that are known, by name."""
    return {
        profile.name: CarrierFacts(
            frozenset(senders_of(profile)),
            None if profile.cost_list is None else currencies.get(profile.cost_list),
            profile.cost_list is not None,
        )
        for profile in carriers
    }


def route_table(routes: Sequence[RouteSettings], carriers: Sequence[CarrierProfile]) -> RouteTable:
    """Return the compiled rules; they were checked when the configuration was read."""
    senders = {profile.name: senders_of(profile) for profile in carriers}
    return RouteTable([route.rule for route in routes], senders)
