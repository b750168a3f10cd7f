"""`smsgate portability`: files of ported numbers, and what cannot be one."""

from __future__ import annotations

import pytest

from tests.cli.command_shell import Shell

NUMBER = "33612345678"


def test_a_table_is_imported_changed_and_looked_up(shell: Shell) -> None:
    csv = f"\ufeffmsisdn,mccmnc\n{NUMBER},20801\n+33612345679,20815\n"
    done = shell.ok("portability", "import", "-", "--json", stdin=csv).json()
    assert (done["rows"], done["numbers"], done["delta"]) == (2, 2, False)
    (shell.cwd / "day.ndjson").write_text(
        f'{{"msisdn": "{NUMBER}", "mccmnc": "20820"}}\n{{"msisdn": 33612345679, "mccmnc": null}}\n'
    )
    told = shell.ok("portability", "import", "day.ndjson", "--delta").err
    assert told == f"2 rows read; version {done['version']} holds 1 numbers.\n"
    assert shell.ok("portability", "lookup", NUMBER, "+33612345679", "--json").json() == [
        {"msisdn": NUMBER, "mccmnc": "20820", "by": "ported"},
        {"msisdn": "33612345679", "mccmnc": "20810", "by": "prefix"},
    ]
    assert "ported" in shell.ok("portability", "lookup", NUMBER).out


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", "number,network\n", "must begin with the line msisdn,mccmnc"),
        ("a.csv", "msisdn,mccmnc\n0612345678x,20801\n", "a.csv, line 2: '0612345678x' is no number"),
        ("a.csv", "msisdn,mccmnc\n0612345678,20820\n", "line 2: '0612345678' is no number"),
        ("a.csv", "msisdn,mccmnc\n0033612345678,20820\n", "line 2: '0033612345678' is no number"),
        ("a.csv", f"msisdn,mccmnc\n{NUMBER},000000\n", "line 2: '000000' is no MCC+MNC"),
        ("a.csv", "msisdn,mccmnc\n", "a.csv holds no number"),
        ("a.ndjson", "", "a.ndjson holds no number"),
        ("a.ndjson", '{"msisdn": "é"}\n'.encode("latin-1"), "a.ndjson is not UTF-8"),
        ("a.csv", f"msisdn,mccmnc\n{NUMBER},208\n", "line 2: '208' is no MCC+MNC, like 20801"),
        ("a.csv", f"msisdn,mccmnc\n{NUMBER},20801,x\n", "line 2: it has 3 cells, not 2"),
        ("a.csv", f"msisdn,mccmnc\n{NUMBER},\n", "only a delta (--delta) may say that a number is back"),
        ("a.ndjson", '{"msisdn": "33612345678"}\n', "line 1: not an object with msisdn and mccmnc"),
        ("b.csv", None, "b.csv cannot be read"),
    ],
)
def test_a_file_that_cannot_be_imported_is_told(
    shell: Shell, name: str, content: str | bytes | None, sentence: str
) -> None:
    if content is not None:
        (shell.cwd / name).write_bytes(content.encode() if isinstance(content, str) else content)
    done = shell.run("portability", "import", name)
    assert done.code != 0
    assert sentence in done.err
