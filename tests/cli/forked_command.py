"""
The command in a process of its own, forked from an interpreter that imported everything before.

Hundreds of commands are run by the tests and each would import for a second of CPU what the one before did.
What a start from nothing needs is shown by tests/cli/test_cli_help.py and test_cli_output.py, and by every
command that the tests leave running.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.cli.imported_commands"])


def run_forked(
    arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], stdin: str, limit_s: float
) -> tuple[int, str, str]:
    """
    Return exit code, standard output and error of `smsgate` with `arguments`.

    Raises:
        TimeoutError: it took longer than `limit_s`, and was killed.
    """
    with tempfile.TemporaryDirectory(prefix="smsgate-command-") as made:
        streams = [Path(made) / name for name in ("stdin", "stdout", "stderr")]
        streams[0].write_text(stdin)
        process = _CONTEXT.Process(
            target=_become, args=(tuple(arguments), str(cwd), dict(environment), tuple(map(str, streams)))
        )
        process.start()
        process.join(limit_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"smsgate {' '.join(arguments)}: no end within {limit_s} s")
        code = process.exitcode
        process.close()
        return code, streams[1].read_text(), streams[2].read_text()


def _become(
    arguments: tuple[str, ...], cwd: str, environment: dict[str, str], streams: tuple[str, str, str]
) -> None:
    for number, name in enumerate(streams):
        opened = os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  # multiprocessing gives its children an empty one
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = ["smsgate", *arguments]
    runpy.run_module("smsgate", run_name="__main__", alter_sys=True)
