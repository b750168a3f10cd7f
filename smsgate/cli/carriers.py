"""`smsgate carrier`: the binds of the running gateway, seen from this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from smsgate.cli import carrier_doctor
from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.exits import UsageRefused
from smsgate.cli.output import JsonOption, say, show_json, show_table
from smsgate.cli.sessions import run_to_end
from smsgate.config import load_settings
from smsgate.daemon.control import ask_action, ask_carriers, ask_trace

PCAP_MODE: Final = 0o600  # numbers and texts may stand in it

# What the table shows of a carrier that has no binds: it was stopped.
UNBOUND: Final = {
    "bind": "-", "state": "-", "host": "-", "window_used": 0, "window_max": 0, "since": "-", "last_error": ""
}  # fmt: skip
NameArgument = Annotated[str, typer.Argument(help="The carrier's name in the configuration.")]

app: Final = typer.Typer(help="See carriers at work, and what was said on their binds.", no_args_is_help=True)
app.command("doctor", help=carrier_doctor.HELP, epilog=carrier_doctor.EPILOG)(carrier_doctor.doctor)


@app.command(
    "list",
    help="List the running gateway's carriers and the state of their binds.",
    epilog=examples("smsgate carrier list", "smsgate carrier list --json"),
)
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    carriers = run_to_end(ask_carriers(load_settings(config).node.state_dir))
    if as_json:
        show_json(carriers)
        return
    rows = [
        (
            carrier["name"],
            carrier["state"],
            bind["bind"],
            bind["state"],
            bind["host"],
            f"{bind['window_used']}/{bind['window_max']}",
            f"{carrier['rate_now']:.10g}/{carrier['rate_per_s']}",
            bind["since"],
            bind["last_error"],
        )
        for carrier in carriers
        for bind in carrier["binds"] or [UNBOUND]
    ]
    show_table(("CARRIER", "IS", "BIND", "STATE", "HOST", "WINDOW", "RATE", "SINCE", "LAST ERROR"), rows)


@app.command(
    "trace",
    help="Write the last PDUs of a carrier's binds as a capture file for tshark or Wireshark.\n\nPasswords "
    "are covered always, texts and phone numbers unless asked for. What went over TLS is in the clear.",
    epilog=examples(
        "smsgate carrier trace sms-fr --pcap sms-fr.pcap",
        "smsgate carrier trace sms-fr --bind trx-1 --numbers --pcap - | tshark -r - -d tcp.port==2775,smpp",
    ),
)
def trace(
    name: NameArgument,
    pcap: Annotated[str, typer.Option("--pcap", metavar="FILE", help="Write here; - is standard output.")],
    bind: Annotated[
        str | None, typer.Option(help="One bind only, as `smsgate carrier list` names it.")
    ] = None,
    texts: Annotated[bool, typer.Option("--texts", help="Leave message texts as they are.")] = False,
    numbers: Annotated[bool, typer.Option("--numbers", help="Leave phone numbers as they are.")] = False,
    config: ConfigOption = None,
) -> None:
    state_dir = load_settings(config).node.state_dir
    octets, pdus = run_to_end(ask_trace(state_dir, name, bind=bind, texts=texts, numbers=numbers))
    if pcap == "-":
        typer.get_binary_stream("stdout").write(octets)
        return
    _write(Path(pcap), octets)
    say(f"{pdus} PDUs written to {pcap}; read it with: tshark -r {pcap} -d tcp.port==PORT,smpp")


def _write(path: Path, octets: bytes) -> None:
    try:
        path.unlink(missing_ok=True)  # so that the mode is ours
        path.touch(PCAP_MODE, exist_ok=False)
        path.write_bytes(octets)
    except OSError as exc:
        raise UsageRefused(f"--pcap: {path} cannot be written: {exc.strerror}") from exc


def _operation(action: str) -> Callable[..., None]:
    """Return the command that has the running gateway do this with a carrier."""

    def operate(name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
        done = run_to_end(ask_action(load_settings(config).node.state_dir, name, action))
        if as_json:
            show_json(done)
        else:
            say(f"Carrier {done['name']} is {done['state']}.")

    return operate


OPERATIONS: Final = {
    "drain": "Submit nothing more by a carrier; it stays bound for receipts and answers.\n\n"
    "What it has not written goes to the next carrier of its route, or waits.",
    "stop": "Leave a carrier in order: open answers awaited, receipts acknowledged, unbound.\n\n"
    "It stays so until `smsgate carrier start`, or the next start of the process.",
    "start": "Have a drained or stopped carrier work again.",
}
for _action, _help in OPERATIONS.items():
    app.command(_action, help=_help, epilog=examples(f"smsgate carrier {_action} sms-fr"))(
        _operation(_action)
    )
