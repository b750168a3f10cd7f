"""
Compiles the pump (Cython) and, as they are, the modules that read replies (mypyc).

Both are built beside the sources of smsgate. A compiled module lies below `smsgate_fast/<room>/`, and
`sources.json` holds the digests of the room it was made in: smsgate takes it while its own sources are
the same.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from mypyc.build import mypycify
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent
ROOM = Path("../smsgate/campaigns")  # a path of mypyc's own: the name of a module follows from it
# What runs for each reply. Tables are compiled from words once an installation: `reply_compiling` stays.
MODULES = (
    "folding", "replies", "reply_abroad", "reply_decisions", "reply_doubts", "reply_machine",
    "reply_own_texts", "reply_phrases", "reply_requests", "reply_signatures", "reply_slips", "reply_stops",
    "reply_tables", "reply_tokens", "reply_tries", "reply_variants", "reply_words",
)  # fmt: skip
# Only what is compiled is here to be read; `make check` looks at types with all that is imported.
OPTIONS = ("--config-file=", "--ignore-missing-imports")
GROUP = "smsgate_fast.reading"  # of the library that the modules share


class Build(build_ext):
    """Compiles the modules beside the pump, and puts `smsgate.campaigns.x` at `smsgate_fast/campaigns/x`."""

    def finalize_options(self) -> None:
        self.distribution.ext_modules += mypycify(
            [*OPTIONS, *(str(ROOM / f"{name}.py") for name in MODULES)],
            opt_level="2",
            group_name=GROUP,
            target_dir="build",
        )
        super().finalize_options()

    def get_ext_fullpath(self, ext_name: str) -> str:
        path = Path(super().get_ext_fullpath(ext_name))
        below = path.relative_to(self.build_lib)
        return str(self.build_lib / Path("smsgate_fast", *below.parts[1:]))


def main() -> None:
    # mypyc writes constants of other modules into the compiled ones, too: so all of the room.
    sources = sorted((HERE / ROOM).glob("*.py"))
    digests = {f"{ROOM.name}/{each.name}": hashlib.sha256(each.read_bytes()).hexdigest() for each in sources}
    (HERE / "smsgate_fast/sources.json").write_text(json.dumps(digests, indent=1) + "\n")
    pump = Extension("smsgate_fast.pump", ["smsgate_fast/pump.pyx"], extra_compile_args=["-O2"])
    setup(ext_modules=[pump], cmdclass={"build_ext": Build})


main()
