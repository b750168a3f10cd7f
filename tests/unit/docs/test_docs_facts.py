"""What the pages name exists: files, headings, metrics, environment variables, commands."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

from smsgate.cli.main import COMMANDS, app
from smsgate.cli.run import STOP_LIMIT_S

ROOT: Final = Path(__file__).parents[3]
PAGES: Final = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])
LINK: Final = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)")
METRIC: Final = re.compile(
    r"metrics?\.(?:gauge|counter|histogram)\(\s*\"([a-z_]+)\"|self\.(?:gauge|counter)\(\"([a-z_]+)\""
)
KINDS: Final = {"gauge", "counter", "histogram"}
TARGET: Final = re.compile(r"`(?:[A-Z]+=\S+ )?make ([a-z][a-z-]*)[`\s]")
COMMAND: Final = re.compile(r"(?<![\w/-])smsgate ([a-z]+(?:-[a-z]+)?)(?: ([a-z]+(?:-[a-z]+)?))?")


def anchors(page: Path) -> set[str]:
    """Return the headings as GitHub makes anchors of them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for name, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), name
        assert not anchor or anchor in anchors(target), f"{name}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_target_of_make_that_a_page_names_exists(page: Path) -> None:
    made = set(re.findall(r"^([a-z][a-z -]*):(?!=)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    made = {name for names in made for name in names.split()}
    assert "bench-intake" in made
    assert [name for name in TARGET.findall(page.read_text("utf-8")) if name not in made] == []


def test_the_unit_for_systemd_lets_smsgate_stop_in_order_and_postgresql_run_on() -> None:
    """By itself systemd sends its signals to PostgreSQL, too, which smsgate stops when it is done with it."""
    text = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| systemd \| .*$", text, re.MULTILINE)
    unit = dict(re.findall(r"`(\w+)=([^`]*)`", row))
    assert unit["KillMode"] == "process"
    assert unit["Type"] == "notify"
    assert float(unit["TimeoutStopSec"]) > STOP_LIMIT_S + 10  # the cut, and the database's last checkpoint


def test_every_metric_of_ours_is_explained_and_no_other() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "smsgate").rglob("*.py"))
    made = {f"smsgate_{first or second}" for first, second in METRIC.findall(sources)}
    assert len(made) > 15
    shown = set(re.findall(r"smsgate_[a-z_]+", (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")))
    shown = {name.removesuffix("_total") for name in shown if not name.startswith("smsgate_http_")}
    assert shown == made


def labels_of_metrics() -> dict[str, tuple[str, ...]]:
    """Return the labels of each metric, by its name without `_total`."""
    found = {}
    for path in (ROOT / "smsgate").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in KINDS and len(node.args) >= 3:
                name, _help, _read, *labels = node.args
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    found[f"smsgate_{name.value}"] = tuple(
                        str(label.value) for label in labels if isinstance(label, ast.Constant)
                    )
    return found


def test_the_labels_of_metrics_are_told_as_they_are() -> None:
    labels = labels_of_metrics()
    shown = re.findall(
        r"(smsgate_[a-z_]+)\{([a-z_,]+)\}", (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    )
    shown = [(name, told) for name, told in shown if not name.startswith("smsgate_http_")]
    assert len(shown) > 8
    for name, told in shown:
        assert tuple(told.split(",")) == labels[name.removesuffix("_total")], name


def test_every_command_that_the_operators_page_shows_exists() -> None:
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    lines = "\n".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    groups = {command.name for command in COMMANDS if not command.function}
    found = {(name, below) if name in groups else (name,) for name, below in COMMAND.findall(lines)}
    assert len(found) >= 6
    for words in found:
        assert CliRunner().invoke(app, [*words, "--help"]).exit_code == 0, words
