"""The command `smsgate`, and `python -m smsgate`."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Final

# Commands that go on until they are told, and then end in order with 0 (`smsgate.cli.exits`).
UNTIL_TOLD: Final = frozenset({"run", "demo", "smsc"})
TERMINATED: Final = 143  # of all others: 128 and the number of SIGTERM


def main() -> None:
    """Run the command line; never returns."""
    # The imports of a command take a second, and more on a busy machine. Who is told to end in it ends as it
    # does later; the command's own loop takes the signal over.
    signal.signal(signal.SIGTERM, _end)
    from smsgate.cli import main as command_line  # noqa: PLC0415

    command_line()


def _end(_number: int, _frame: FrameType | None) -> None:
    command = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), "")
    if command not in UNTIL_TOLD:
        sys.exit(TERMINATED)
    sys.stderr.write("Stopped before the start was complete.\n")
    sys.exit(0)


if __name__ == "__main__":
    main()
