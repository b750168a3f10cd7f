"""`smsgate demo`: the main job on one machine, in two minutes."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import typer

from smsgate.cli.examples import examples
from smsgate.cli.output import say
from smsgate.cli.sessions import silence_logs
from smsgate.demo.main import DEFAULT_PORT, DemoOptions, run_demo

SUBSCRIBERS: Final = 1_000
SUBSCRIBERS_MAX: Final = 100_000  # more is a load test, and has its own tool

HELP: Final = "Play the main job with simulated phones and shop."
EPILOG: Final = examples("smsgate demo", "smsgate demo --once --json | tail -1 | python3 -m json.tool")


def demo(
    once: Annotated[bool, typer.Option("--once", help="End by itself when the story is told.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write the numbers as one JSON object, the last line.")
    ] = False,
    subscribers: Annotated[
        int, typer.Option(min=1, max=SUBSCRIBERS_MAX, help="How many phones get the offer.")
    ] = SUBSCRIBERS,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Of the API; another one if it is taken.")
    ] = DEFAULT_PORT,
) -> None:
    silence_logs()
    options = DemoOptions(once=once, as_json=as_json, subscribers=subscribers, port=port)
    raise typer.Exit(asyncio.run(run_demo(options, say)))
