from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from smsgate.billing.invoices import canonical_json
from smsgate.invoicing.en16931 import Syntax, invoice_xml
from smsgate.invoicing.pdf import facturx_pdf
from smsgate.security.proof_chain import Entry, ProofKey
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


def test_a_proof_file_is_checked_without_a_database_and_one_that_does_not_hold_says_what(
    shell: Shell, tmp_path: Path
) -> None:
    key, payload, path = ProofKey(b"k" * 32), canonical_json(october()).decode(), tmp_path / "october.proof"
    at, previous = "2026-11-05T00:00:00+00:00", "00" * 32
    body = {
        "number": october().number, "payload": payload,
        "sha256": hashlib.sha256(payload.encode()).hexdigest(), "previous_sha256": previous,
        "chain_sha256": hashlib.sha256(bytes.fromhex(previous) + payload.encode()).hexdigest(),
    }  # fmt: skip
    path.write_bytes(key.sealed([Entry("document", at, body)], at))
    told = shell.ok("billing", "proof", "--check", str(path), "--key", key.public, "--json").json()
    assert (told["holds"], told["number"]) == (True, october().number)
    other = shell.run("billing", "proof", "--check", str(path), "--key", "00" * 32)
    assert (other.code, "another gateway signed this" in other.err) == (1, True)
    path.write_bytes(key.sealed([Entry("document", at, body | {"sha256": previous})], at))
    wrong = shell.run("billing", "proof", "--check", str(path))
    assert (wrong.code, "the document does not have its hash" in wrong.err) == (1, True)
    assert shell.run("billing", "proof").code == 2
