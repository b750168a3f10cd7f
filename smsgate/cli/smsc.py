"""`smsgate smsc`: an SMSC with phones behind it, on this machine."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from smsgate.cli.examples import examples
from smsgate.cli.exits import Exit, UsageRefused
from smsgate.cli.output import JsonOption, say, show, show_json, show_table
from smsgate.cli.sessions import silence_logs
from smsgate.errors import SmsgateError
from smsgate.simulator.journal import JournalRefused
from smsgate.simulator.phones import Behaviour
from smsgate.simulator.profiles import PROFILES, find_profile, with_profiles
from smsgate.simulator.profiles import as_json as as_json_of
from smsgate.simulator.serve import Simulator, SimulatorSettings, run_simulator
from smsgate.simulator.smsc_settings import OutbindTo, SmscAccount, SmscSettings

PORT: Final = 2775  # of SMPP, registered with IANA
CONTROL_PORT: Final = 2776  # the next one
PASSWORD: Final = "secret"  # noqa: S105  # the public default of a simulator
DELAY_MAX_S: Final = 86_400.0
SEED_MAX: Final = 2**63 - 1  # --json writes it, and JSON's readers have no more than 64 bits


def _share(what: str) -> Any:
    return typer.Option(min=0.0, max=1.0, metavar="SHARE", help=f"Of phones, 0 to 1, that {what}.")


HELP: Final = (
    "Run an SMSC simulator with phones that receive, and answer offers by shares; the rest is silent.\n\n"
    "With --profile it is faulty as carriers are, for any client; --profiles lists the ways."
)
EPILOG: Final = examples(
    "smsgate smsc",
    "smsgate smsc --ok 0.2 --quantity 0.05 --stop 0.04 --reply-delay-s 1,5",
    "smsgate smsc --ok 0.2 --journal smsc.jsonl",
    "smsgate smsc --port 2780 --rate 100 --latency-ms 50 --receipt-delay-s 0.5,3 --undelivered 0.02",
    "smsgate smsc --outbind 127.0.0.1:2776",
    "smsgate smsc --profiles",
    "smsgate smsc --profile ids-hex-in-response --profile receipt-before-response --seed 7",
)


PortOption = Annotated[int, typer.Option(min=0, max=65_535, help="SMPP; 0 takes a free one.")]
ControlPortOption = Annotated[
    int, typer.Option(min=0, max=65_535, help="For `smsgate phone`, on loopback; 0 takes a free one.")
]
ReplyDelayOption = Annotated[
    str, typer.Option(metavar="LO,HI", help="From reading to answering; one number is both.")
]
ReceiptDelayOption = Annotated[
    str, typer.Option(metavar="LO,HI", help="From the answer to the phone having it; one number is both.")
]
UndeliveredOption = Annotated[
    float, typer.Option(min=0.0, max=1.0, metavar="SHARE", help="Of messages, 0 to 1, that no phone gets.")
]
ProfileOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Be faulty in this way; may be given several times."),
]
ProfilesOption = Annotated[
    bool, typer.Option("--profiles", help="List the profiles, one sentence each, and end.")
]
SeedOption = Annotated[
    int,
    typer.Option(
        min=-SEED_MAX,
        max=SEED_MAX,
        metavar="INTEGER",
        help="The same seed draws the same fates and faults.",
    ),
]
JournalOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Note there what was taken and answered, and go on from it after a kill."
    ),
]
OutbindOption = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT", help="Ask the ESME to bind there (outbind) while something waits for it."
    ),
]
CaOutOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="With a TLS profile: write its CA there, as PEM.")
]


def smsc(
    host: Annotated[str, typer.Option(help="Listen here; 0.0.0.0 is every interface.")] = "127.0.0.1",
    port: PortOption = PORT,
    control_port: ControlPortOption = CONTROL_PORT,
    system_id: Annotated[str, typer.Option(help="What an ESME binds with.")] = "smsgate",
    password: Annotated[
        str, typer.Option(envvar="SMSGATE_SMSC_PASSWORD", help="What an ESME binds with.")
    ] = PASSWORD,
    ok: Annotated[float, _share("order one piece")] = 0.0,
    quantity: Annotated[float, _share("order two or three")] = 0.0,
    stop: Annotated[float, _share("say STOP")] = 0.0,
    question: Annotated[float, _share("ask a question")] = 0.0,
    decline: Annotated[float, _share("say no")] = 0.0,
    auto: Annotated[float, _share("let a machine answer")] = 0.0,
    reply_delay_s: ReplyDelayOption = "0,0",
    latency_ms: Annotated[
        float, typer.Option(min=0.0, max=DELAY_MAX_S * 1000, help="Until a submit_sm is answered.")
    ] = 0.0,
    receipt_delay_s: ReceiptDelayOption = "0,0",
    undelivered: UndeliveredOption = 0.0,
    rate: Annotated[int, typer.Option(min=0, help="submit_sm a second; more is throttled. 0: no limit.")] = 0,
    profile: ProfileOption = None,
    profiles: ProfilesOption = False,
    journal: JournalOption = None,
    ca_out: CaOutOption = None,
    outbind: OutbindOption = "",
    seed: SeedOption = 1,
    as_json: JsonOption = False,
) -> None:
    if profiles:
        _list_profiles(as_json=as_json)
        return
    chosen = [find_profile(name) for name in profile or ()]
    plain = SmscSettings(
        accounts=(SmscAccount(system_id, password, rate_per_s=rate),),
        response_latency_s=latency_ms / 1000,
        receipt_delay_s=seconds_range(receipt_delay_s, "--receipt-delay-s"),
        undelivered_share=undelivered,
        outbind=_outbind_to(outbind, password) if outbind else None,
    )
    delay_s = seconds_range(reply_delay_s, "--reply-delay-s")
    settings = SimulatorSettings(
        host=host,
        port=port,
        control_port=control_port,
        seed=seed,
        smsc=with_profiles(plain, chosen),
        behaviour=Behaviour(ok, quantity, stop, question, decline, auto, delay_s=delay_s),
        profiles=tuple(each.name for each in chosen),
        journal=journal,
    )
    if journal is not None and chosen:
        raise UsageRefused("--journal is of an SMSC without faults: leave --profile out.")
    if ca_out is not None and not settings.smsc.faults.tls:
        raise UsageRefused("--ca-out needs a TLS profile, such as --profile tls-good.")
    _serve(settings, ca_out, as_json=as_json)


def _outbind_to(text: str, password: str) -> OutbindTo:
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isdecimal() and 0 < int(port) < 65_536):
        raise UsageRefused(f"--outbind: {text[:80]!r} is no HOST:PORT.")
    return OutbindTo(host.strip("[]"), int(port), password)


def _list_profiles(*, as_json: bool) -> None:
    if as_json:
        for each in PROFILES.values():
            show_json(as_json_of(each))
    else:
        show_table(("PROFILE", "WHAT IT DOES"), [(each.name, each.sentence) for each in PROFILES.values()])


class ListenRefused(SmsgateError):
    code = "listen_refused"


class CaNotWritten(SmsgateError):
    code = "ca_not_written"


def _serve(settings: SimulatorSettings, ca_out: Path | None, *, as_json: bool) -> None:
    silence_logs()

    def ready(simulator: Simulator) -> None:
        if ca_out is not None:
            _write_ca(ca_out, simulator.ca_pem)
        if as_json:
            show_json({"event": "listening", **simulator.describe()})
        else:
            for line in how_to_bind(simulator):
                show(line)

    try:
        simulator = asyncio.run(_until_signal(settings, ready))
    except OSError as exc:
        if exc.filename is not None:
            raise JournalRefused(f"{exc.filename} cannot be written: {exc.strerror or exc}.") from exc
        raise ListenRefused(
            f"Ports {settings.port} and {settings.control_port} of {settings.host} cannot be had: "
            f"{exc.strerror or exc}. Choose others by --port and --control-port."
        ) from exc
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None
    if as_json:
        show_json({"event": "stopped", **simulator.stats()})
    else:
        log = simulator.smsc.log
        say(f"Stopped: {log.submits} submits seen, {log.accepted} accepted, {log.delivered} delivered.")


def _write_ca(path: Path, pem: bytes) -> None:
    try:
        path.write_bytes(pem)
    except OSError as exc:
        raise CaNotWritten(f"{path} cannot be written: {exc.strerror or exc}.") from exc


async def _until_signal(settings: SimulatorSettings, ready: Callable[[Simulator], None]) -> Simulator:
    """The first signal ends in order; a second one, while it does so, ends at once."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None

    def on_signal() -> None:
        if stop.is_set():
            task.cancel()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    try:
        return await run_simulator(settings, stop, ready)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def seconds_range(text: str, option: str) -> tuple[float, float]:
    """
    Read "0.5,3" or "2".

    Raises:
        UsageRefused: no such range.
    """
    low, comma, high = text.partition(",")
    try:  # one number is both: always so long
        found = float(low), float(high if comma else low)
    except ValueError:
        found = (1.0, 0.0)
    if not 0.0 <= found[0] <= found[1] <= DELAY_MAX_S:
        raise UsageRefused(f"{option}: {text[:40]!r} is no range of seconds such as 0.5,3.")
    return found


def how_to_bind(simulator: Simulator) -> list[str]:
    """Return what a person needs to bind, as configuration of the gateway."""
    account = simulator.settings.smsc.accounts[0]
    password = account.password if account.password == PASSWORD else "..."
    address = f"{simulator.settings.host}:{simulator.smpp_port}"
    tls = ['  tls = "none"', "  insecure_plaintext = true"]
    if simulator.settings.smsc.faults.tls:
        tls = ['  tls = "verify"', '  ca_file = "..."  # what --ca-out wrote']
    quirks = [
        f"Faulty: {each.name}. {each.sentence}" for each in map(find_profile, simulator.settings.profiles)
    ]
    return [
        *quirks,
        f"SMSC simulator: SMPP on {address}, phones at {simulator.control_url}. Bind with:",
        "",
        "  [[carriers]]",
        '  name = "sim"',
        f'  hosts = ["{address}"]',
        f'  system_id = "{account.system_id}"',
        f'  password = "{password}"',
        *tls,
        '  senders = [{ number = "36111", receives = true }]',
        "",
        f"  export SMSGATE_PHONES={simulator.control_url}",
        "",
        "Ctrl-C ends.",
    ]
