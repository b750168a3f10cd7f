"""Where the configuration is: apart from what reads it, which not every command needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="SMSGATE_CONFIG",
        show_default="conf/smsgate.toml if it is there",
        help="TOML file.",
    ),
]
