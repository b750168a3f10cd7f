"""`smsgate retention`: what is kept how long, why, and how old the oldest of it is."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Annotated, Final

import typer

from smsgate.campaigns.retention import By, Rule, rules
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import as_usage
from smsgate.cli.output import JsonOption, say, show_json, show_table
from smsgate.cli.sessions import SlugArgument, merchant_of, with_services, with_settings
from smsgate.config import load_settings
from smsgate.daemon.services import Services
from smsgate.errors import NotFound
from smsgate.store.retention import PgRetention

app: Final = typer.Typer(help="What is kept how long, and why.", no_args_is_help=True, rich_markup_mode=None)
# Housekeeping comes once an hour, and whole days of partitions go after midnight UTC.
LATE: Final = {By.ROWS: timedelta(hours=3), By.DAYS: timedelta(days=1, hours=3)}

RuleArgument = Annotated[str, typer.Argument(metavar="RULE", help="Its name: `smsgate retention show`")]


@app.command(
    "show",
    help="Show every rule: what is kept how long, by whose word, and since when the oldest row is kept.\n\n"
    "`late`: housekeeping should have been there. --json adds why, by what source, and what merchants may "
    "choose.",
    epilog=examples("smsgate retention show", "smsgate retention show --json"),
)
def show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    settings = load_settings(config)
    retention = settings.retention.kept()

    async def work(services: Services) -> list[dict[str, object]]:
        store = PgRetention(services.database)
        chosen: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for rule_id, slug, days in await store.chosen():
            chosen[rule_id][slug] = days
        now = services.clock.now()
        return [
            _told(rule, retention.days_of(rule), await store.oldest(rule), chosen[rule.id], now)
            for rule in rules().values()
        ]

    found = with_settings(settings, work)
    if as_json:
        show_json(found)
        return
    show_table(
        ("rule", "kept", "oldest", "what"),
        [[str(row["rule"]), _kept(row), _oldest(row), str(row["what"])] for row in found],
    )


@app.command(
    "choose",
    help="Keep what a rule is about for another time, of one merchant.\n\nWithin the rule's bounds; what is "
    "gone does not come back.",
    epilog=examples("smsgate retention choose boxman reply_text 90"),
)
def choose(
    slug: SlugArgument,
    rule: RuleArgument,
    days: Annotated[int, typer.Argument(metavar="DAYS", help="Whole days.")],
    config: ConfigOption = None,
) -> None:
    async def work(services: Services) -> None:
        merchant_id = (await merchant_of(services, slug)).merchant_id
        with as_usage("RULE"):
            await PgRetention(services.database).choose(merchant_id, rule, days, services.clock.now())

    with_services(config, work)
    say(f"{rule} of {slug}: {days} days, from the next housekeeping on.")


@app.command(
    "reset",
    help="Go back to the rule's own time for a merchant.",
    epilog=examples("smsgate retention reset boxman reply_text"),
)
def reset(slug: SlugArgument, rule: RuleArgument, config: ConfigOption = None) -> None:
    async def work(services: Services) -> None:
        merchant_id = (await merchant_of(services, slug)).merchant_id
        if not await PgRetention(services.database).unchoose(merchant_id, rule):
            raise NotFound(f"{slug} has chosen nothing for {rule[:40]}")

    with_services(config, work)
    say(f"{rule} of {slug}: as the rule says.")


def _told(
    rule: Rule, days: int | None, oldest: datetime | None, chosen: dict[str, int], now: datetime
) -> dict[str, object]:
    longest = None if days is None else timedelta(days=max([days, *chosen.values()]))
    # Not people: `oldest` is the end of a consent, and they may have been heard of since.
    late = (
        oldest is not None and longest is not None and rule.id != "person"
        and rule.by in LATE and now - oldest > longest + LATE[rule.by]
    )  # fmt: skip
    return {
        "rule": rule.id,
        "what": rule.what,
        "tables": list(rule.tables),
        "days": days,
        "by": rule.by.value,
        "oldest": None if oldest is None else oldest.isoformat(),
        "late": late,
        "why": rule.why,
        "source": rule.source,
        "merchants_may_choose": None if rule.least is None else [rule.least, rule.most],
        "chosen": chosen,
    }


def _kept(row: dict[str, object]) -> str:
    if row["days"] is None:
        return "for good"
    chosen = row["chosen"]
    assert isinstance(chosen, dict)
    own = "".join(f", {slug} {days}" for slug, days in chosen.items())
    return f"{row['days']} days{own}"


def _oldest(row: dict[str, object]) -> str:
    if row["oldest"] is None:
        return "-"
    return f"{str(row['oldest'])[:10]}{' late' if row['late'] else ''}"
