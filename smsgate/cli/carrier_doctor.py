"""`smsgate carrier doctor`: find out what a carrier wants, and write its profile."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import ValidationError

from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit, UsageRefused
from smsgate.cli.output import JsonOption, say, show, show_json
from smsgate.cli.sessions import run_to_end
from smsgate.clock import SystemClock
from smsgate.config import load_settings
from smsgate.errors import Invalid, NotFound
from smsgate.links.doctor import Doctor, Examined
from smsgate.links.doctor_binds import open_bind
from smsgate.links.doctor_verdicts import Finding
from smsgate.links.profile import CarrierProfile
from smsgate.links.profile_senders import SenderNumber
from smsgate.links.profile_toml import carrier_block
from smsgate.msisdn import normalize

HELP: Final = (
    "Bind to a carrier, send a few messages to a phone of yours, and write the profile that it wants.\n\nIt "
    "costs one or two dozen messages. Answer A or B on the phone when it asks. While the gateway holds all "
    "sessions of the account, the carrier refuses: stop it first."
)
EPILOG: Final = examples(
    "smsgate carrier doctor sms-fr --to +33612345678 --write sms-fr.toml",
    "smsgate carrier doctor sms-fr --to +33612345678 --from 38123 --yes --json",
)
PROFILE_MODE: Final = 0o600
_MARKS: Final = {"found": "ok  ", "kept": "kept", "failed": "FAIL"}


def doctor(
    name: Annotated[str, typer.Argument(help="The carrier's name in the configuration.")],
    to: Annotated[str, typer.Option("--to", metavar="NUMBER", help="A phone of yours, +33...")],
    sender: Annotated[
        str | None,
        typer.Option("--from", metavar="SENDER", help="Send from here.", show_default="first that receives"),
    ] = None,
    wait_s: Annotated[
        float, typer.Option(min=0.1, max=3_600.0, help="Seconds to wait for receipts, and for answers.")
    ] = 60.0,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FILE", help="Write the profile here, as TOML.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before sending.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    profile = _profile(name, config)
    msisdn = _msisdn(to)
    chosen = _sender(profile) if sender is None else _checked(sender)
    if not yes:
        typer.confirm(
            f"Send one or two dozen messages from {chosen} over {name}, at your cost?", abort=True, err=True
        )
    examined = run_to_end(_examine(profile, chosen, msisdn, wait_s))
    if as_json:
        show_json(_as_json(examined))
    else:
        for finding in examined.findings:
            show(f"{_MARKS[finding.state]}  {finding.name.ljust(20)}  {finding.detail}")
            if finding.mend:
                show(f"      {' ' * 20}  -> {finding.mend}")
    if write is not None:
        _write(write, _block(examined))
        say(f"Profile written to {write}: compare it with yours, and take it over.")
    raise typer.Exit(Exit.FAILED if any(each.state == "failed" for each in examined.findings) else Exit.OK)


async def _examine(profile: CarrierProfile, sender: str, msisdn: int, wait_s: float) -> Examined:
    clock = SystemClock()
    found = Doctor(profile, clock, sender=sender, msisdn=msisdn, wait_s=wait_s)
    async with open_bind(profile, profile.hosts[0], clock, found.mail) as opened:
        examined = await found.examine(opened.bind)
        known = examined.profile.model_copy(update=dict(opened.finding.keys))
        return Examined([opened.finding, *examined.findings], known, examined.messages)


def _profile(name: str, config: Path | None) -> CarrierProfile:
    carriers = {carrier.name: carrier for carrier in load_settings(config).carriers}
    if name not in carriers:
        known = ", ".join(carriers) or "there is none"
        raise NotFound(f"no carrier is called {name} in the configuration: {known}")
    return carriers[name]


def _sender(profile: CarrierProfile) -> str:
    senders = sorted(profile.senders, key=lambda sender: not sender.receives)
    if not senders:
        raise UsageRefused(f"--from: carrier {profile.name} has no senders; say which one to use")
    return senders[0].number


def _checked(sender: str) -> str:
    """Refuse what no configuration could hold, before anything is bound: no submit_sm can carry it."""
    try:
        return SenderNumber(number=sender).number
    except ValidationError as exc:
        raise UsageRefused(f"--from: {exc.errors()[0]['msg'].removeprefix('Value error, ')}") from None


def _msisdn(text: str) -> int:
    try:
        return int(normalize(text))
    except Invalid as exc:
        raise UsageRefused(f"--to: {exc}") from None


def _block(examined: Examined) -> str:
    reasons = {
        key: finding.detail
        for finding in examined.findings
        for key in finding.keys
        if finding.state == "found"
    }
    return carrier_block(
        examined.profile, f'password_env = "{_password_env(examined.profile.name)}"', reasons
    )


def _password_env(name: str) -> str:
    return f"{name.upper().replace('-', '_')}_PASSWORD"


def _as_json(examined: Examined) -> dict[str, object]:
    return {
        "messages": examined.messages,
        "findings": [_finding_json(finding) for finding in examined.findings],
        "profile": _block(examined),
    }


def _finding_json(finding: Finding) -> dict[str, object]:
    return {
        "name": finding.name,
        "state": finding.state,
        "detail": finding.detail,
        "keys": dict(finding.keys),
        "mend": finding.mend,
    }


def _write(path: Path, text: str) -> None:
    try:
        path.touch(PROFILE_MODE)
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise UsageRefused(f"--write: {path} cannot be written: {exc.strerror}") from exc
