"""What a check found, in words and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from smsgate.cli.output import printable, say, show, show_json

State = Literal["ok", "warning", "failed"]
_MARKS: Final[dict[State, str]] = {"ok": "ok  ", "warning": "warn", "failed": "FAIL"}


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    state: State
    detail: str
    mend: str = ""


@dataclass(slots=True)
class Findings:
    all: list[Finding] = field(default_factory=list)

    def ok(self, name: str, detail: str) -> None:
        self.all.append(Finding(name, "ok", detail))

    def warn(self, name: str, detail: str, mend: str) -> None:
        self.all.append(Finding(name, "warning", detail, mend))

    def fail(self, name: str, detail: str, mend: str) -> None:
        self.all.append(Finding(name, "failed", detail, mend))

    @property
    def failed(self) -> int:
        return sum(finding.state == "failed" for finding in self.all)

    def show(self) -> None:
        width = max(len(printable(finding.name)) for finding in self.all)
        for finding in self.all:
            show(f"{_MARKS[finding.state]}  {finding.name.ljust(width)}  {finding.detail}")
            if finding.mend:
                show(f"      {' ' * width}  -> {finding.mend}")
        warnings = sum(finding.state == "warning" for finding in self.all)
        say(f"{len(self.all)} checks: {self.failed} failed, {warnings} with a warning.")

    def show_json(self) -> None:
        show_json(
            {
                "ok": not self.failed,
                "checks": [
                    {
                        "name": finding.name,
                        "state": finding.state,
                        "detail": finding.detail,
                        "mend": finding.mend,
                    }
                    for finding in self.all
                ],
            }
        )
