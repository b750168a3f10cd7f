"""`smsgate openapi`: the document of the HTTP API."""

from __future__ import annotations

import sys
from typing import Final

import orjson

from smsgate.api.openapi import document_octets
from smsgate.cli.examples import examples

HELP: Final = "Print the OpenAPI 3.1 document of the HTTP API."
EPILOG: Final = examples("smsgate openapi > openapi.json")


def openapi() -> None:
    document = orjson.dumps(orjson.loads(document_octets()), option=orjson.OPT_INDENT_2)
    sys.stdout.write(document.decode() + "\n")
