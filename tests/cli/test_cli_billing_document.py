from __future__ import annotations

from pathlib import Path

import pytest

from smsgate.billing.invoices import canonical_json
from smsgate.invoicing.en16931 import Syntax, invoice_xml
from smsgate.invoicing.pdf import facturx_pdf
from tests.cli.command_shell import Shell
from tests.invoicing.papers import october


def test_a_stored_payload_becomes_its_pdf_its_xml_and_itself_again(shell: Shell, tmp_path: Path) -> None:
    payload = tmp_path / "F-000123.json"
    payload.write_bytes(canonical_json(october()))
    for form, octets in (
        ("pdf", facturx_pdf(october())),
        ("cii", invoice_xml(october(), Syntax.CII)),
        ("ubl", invoice_xml(october(), Syntax.UBL)),
        ("peppol", invoice_xml(october(), Syntax.PEPPOL)),
        ("json", canonical_json(october()) + b"\n"),
    ):
        output = tmp_path / f"out.{form}"
        shell.ok("billing", "document", str(payload), "--as", form, "--output", str(output))
        assert output.read_bytes() == octets


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (b"{", "not the payload"),
        (canonical_json(october()).replace(b"1557647", b"1557648"), "gross is 1557648"),
    ],
)
def test_a_payload_whose_amounts_do_not_add_up_makes_no_document(
    shell: Shell, tmp_path: Path, payload: bytes, sentence: str
) -> None:
    path, output = tmp_path / "spoiled.json", tmp_path / "out.pdf"
    path.write_bytes(payload)
    outcome = shell.run("billing", "document", str(path), "--output", str(output))
    assert outcome.code == 2
    assert sentence in outcome.err
    assert not output.exists()


def test_a_file_that_is_not_there_is_told_plainly(shell: Shell, tmp_path: Path) -> None:
    outcome = shell.run("billing", "document", str(tmp_path / "nothing.json"))
    assert outcome.code == 2
    assert "cannot be read" in outcome.err
