"""`smsgate reload`: the running gateway follows its changed configuration."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from smsgate.cli.config_option import ConfigOption
from smsgate.cli.examples import examples
from smsgate.cli.output import JsonOption, say, show_json
from smsgate.cli.sessions import run_to_end
from smsgate.config import load_settings
from smsgate.daemon.control import ask_reload

EPILOG: Final = examples("smsgate reload", "smsgate reload --json", "smsgate reload --remove-all-carriers")
HELP: Final = (
    "Have the running gateway follow its changed configuration: carriers and routes.\n\nThe file is checked "
    "as a whole first; one that cannot work, or has no carrier any more, changes nothing. Carriers that stay "
    "the same keep their sessions. SIGHUP does the same for the process that gets it: one without the role "
    "gateway wants one, for its senders."
)
DONE: Final = (
    ("added", "added"),
    ("rebound", "bound anew"),
    ("adjusted", "changed without a new bind"),
    ("removed", "drained and removed"),
    ("untouched", "untouched"),
)


def reload_(
    config: ConfigOption = None,
    remove_all_carriers: Annotated[
        bool,
        typer.Option("--remove-all-carriers", help="The file has no carrier any more, and that is meant."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    state_dir = load_settings(config).node.state_dir
    done = run_to_end(ask_reload(state_dir, remove_all_carriers=remove_all_carriers))
    if as_json:
        show_json(done)
    else:
        say(reload_sentence(done))


def reload_sentence(done: dict[str, Any]) -> str:
    parts = [f"{words}: {', '.join(done[key])}" for key, words in DONE if done.get(key)]
    parts.append(f"{len(done.get('routes', []))} routes in force")
    if done["restart_needed"]:
        parts.append(f"a restart is needed for {', '.join(done['restart_needed'])}")
    return f"Reloaded; {'; '.join(parts)}."
