"""`smsgate version`."""

from __future__ import annotations

from typing import Final

from smsgate.cli.examples import examples
from smsgate.cli.output import JsonOption, show, show_json
from smsgate.version import VERSION

HELP: Final = "Print the version."
EPILOG: Final = examples("smsgate version")


def version(as_json: JsonOption = False) -> None:
    if as_json:
        show_json({"version": VERSION})
    else:
        show(VERSION)
