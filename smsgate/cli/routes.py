"""`smsgate route`: which rule decides for a number, and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from smsgate.billing.networks import default_table
from smsgate.billing.prices import Direction
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit, UsageRefused
from smsgate.cli.output import JsonOption, say, show, show_json, show_table
from smsgate.cli.sessions import merchant_of, with_settings
from smsgate.config import Settings, load_settings
from smsgate.config.routes import route_table
from smsgate.daemon.control import ask_carriers
from smsgate.daemon.services import Services
from smsgate.errors import LinkError
from smsgate.flows.pricing import Pricing
from smsgate.links.senders import owners_of_senders
from smsgate.money import micros_to_text
from smsgate.msisdn import normalize
from smsgate.routing.choosing import tiers
from smsgate.routing.rules import Kind, Rule
from smsgate.routing.table import RouteTable
from smsgate.store.portability import PgPortability
from smsgate.store.usage import PgPriceData

BOUND: Final = "bound"

app: Final = typer.Typer(help="See how messages find their carrier.", no_args_is_help=True)


@app.callback()
def root() -> None:
    pass


@app.command(
    "explain",
    help="Say which rule decides for a number, and why, with what each of its carriers costs.\n\nLooks at "
    "the configuration and the prices in force, and at the binds when the gateway runs here. Ends with 1 "
    "when nobody takes the message.",
    epilog=examples(
        "smsgate route explain +33612345678 --merchant boxman --sender 38123",
        "smsgate route explain 33612345678 --merchant boxman --sender 38123 --kind system --json",
    ),
)
def explain(
    msisdn: Annotated[str, typer.Argument(help="The recipient, in international form.")],
    merchant: Annotated[str, typer.Option("--merchant", help="The merchant's name (slug).")],
    sender: Annotated[str, typer.Option("--sender", help="The number or name to send from.")],
    kind: Annotated[Kind, typer.Option("--kind", help="What the message is for.")] = Kind.OFFER,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    number = int(normalize(msisdn if msisdn.startswith("+") else f"+{msisdn}"))
    settings = load_settings(config)

    async def work(services: Services) -> dict[str, Any]:
        await merchant_of(services, merchant)
        pricing = Pricing(PgPriceData(services.database), services.clock)
        await pricing.refresh()
        book = _Explainer(settings, pricing, services, await _states(settings.node.state_dir))
        ported = (await PgPortability(services.database).lookup([number])).get(number)
        return book.explained(number, ported, merchant, sender.removeprefix("+"), kind)

    found = with_settings(settings, work)
    if as_json:
        show_json(found)
    else:
        _tell(found)
    raise typer.Exit(Exit.OK if found["refused"] is None else Exit.FAILED)


async def _states(state_dir: Path) -> dict[str, str]:
    """Return "up" or "down" by carrier as the running gateway sees them; nothing when none runs here."""
    try:
        carriers = await ask_carriers(state_dir)
    except LinkError:
        return {}
    return {
        carrier["name"]: "up" if any(bind["state"] == BOUND for bind in carrier["binds"]) else "down"
        for carrier in carriers
    }


class _Explainer:
    def __init__(
        self, settings: Settings, pricing: Pricing, services: Services, states: Mapping[str, str]
    ) -> None:
        self._table: RouteTable = route_table(settings.routes, settings.carriers)
        self._profiles = {profile.name: profile for profile in settings.carriers}
        self._owners = owners_of_senders(settings.carriers)
        self._pricing = pricing
        self._now = services.clock.now()
        self._states = states

    def explained(
        self, msisdn: int, ported: str | None, merchant: str, sender: str, kind: Kind
    ) -> dict[str, Any]:
        network = ported or default_table().network_of(str(msisdn)).mccmnc
        if sender not in self._owners:
            known = ", ".join(sorted(self._owners)) or "none"
            raise UsageRefused(f"No carrier has the sender {sender}: the configuration knows {known}.")
        found = self._table.view(merchant, sender, kind).deciding(str(msisdn), network)
        head = {
            "msisdn": str(msisdn),
            "network": network,
            "ported": ported is not None,
            "merchant": merchant,
            "sender": sender,
            "kind": str(kind),
        }
        owner = self._owners[sender][0].name
        if found is None:
            why = f"no rule holds, so the carrier that owns sender {sender} takes it"
            rows = [self._row(owner, 1, 1, network, 1, 1.0, "")]
            return {**head, "rule": None, "why": why, "refused": None, "carriers": rows}
        rule, prefix, code = found
        why = self._why(rule, prefix, code, merchant, sender, kind)
        rows = self._candidates(rule, sender, merchant, network)
        refused = "route_refused" if rule.refuse else None
        if not rule.refuse and not any(row["place"] for row in rows):
            refused = "route_too_dear"
        return {**head, "rule": rule.name, "why": why, "refused": refused, "carriers": rows}

    def _why(self, rule: Rule, prefix: str, code: str, merchant: str, sender: str, kind: Kind) -> str:
        held = [
            (rule.merchants, f"merchant {merchant}"),
            (rule.senders, f"sender {sender}"),
            (rule.kinds, f"kind {kind}"),
            (prefix, f"prefix {prefix}"),
            (code, f"network {code}"),
        ]
        words = " and ".join(word for given, word in held if given) or "it holds for every message"
        return f"the most special rule that holds: {words}"

    def _candidates(self, rule: Rule, sender: str, merchant: str, network: str) -> list[dict[str, Any]]:
        allowed = self._table.candidates(rule, sender, merchant)
        found = tiers(rule, allowed, lambda carrier: self._micros(carrier, network))
        rows = []
        for candidate in rule.candidates:
            place, share, note = 0, 0.0, ""
            for number, tier in enumerate(found, 1):
                if candidate.carrier in tier.carriers:
                    place, share = number, candidate.weight / sum(tier.weights)
            if candidate not in allowed:
                note = f"does not let {merchant} send from {sender}"
            elif not place:
                note = "dearer than max_cost, or nobody knows its cost"
            rows.append(
                self._row(
                    candidate.carrier, candidate.priority, candidate.weight, network, place, share, note
                )
            )
        return sorted(rows, key=lambda row: (row["place"] or len(rows) + 1, -row["share"], row["carrier"]))

    def _micros(self, carrier: str, network: str) -> int | None:
        name = self._profiles[carrier].cost_list
        book = None if name is None else self._pricing.cost_book(name)
        item = None if book is None else book.lookup(self._now, Direction.MT, network)
        return None if item is None else item.unit_micros

    def _row(
        self, carrier: str, priority: int, weight: int, network: str, place: int, share: float, note: str
    ) -> dict[str, Any]:
        micros = self._micros(carrier, network)
        name = self._profiles[carrier].cost_list
        book = None if name is None else self._pricing.cost_book(name)
        return {
            "carrier": carrier,
            "place": place or None,
            "share": round(share, 3),
            "priority": priority,
            "weight": weight,
            "cost": None if micros is None else micros_to_text(micros),
            "currency": None if book is None else book.currency,
            "state": self._states.get(carrier, "unknown"),
            "note": note,
        }


def _tell(found: Mapping[str, Any]) -> None:
    show(f"{found['msisdn']} is on network {found['network']}{', ported' if found['ported'] else ''}.")
    show(f"{'Rule ' + found['rule'] if found['rule'] else 'The sender'} decides: {found['why']}.")
    rows = [
        (
            str(row["place"] or "-"),
            row["carrier"],
            f"{row['share']:.0%}",
            "-" if row["cost"] is None else f"{row['cost']} {row['currency']}",
            row["state"],
            row["note"],
        )
        for row in found["carriers"]
    ]
    if rows:
        show_table(("PLACE", "CARRIER", "SHARE", "COST", "STATE", "NOTE"), rows)
    if found["refused"] is not None:
        say(f"Nobody takes it: {found['refused']}.")
