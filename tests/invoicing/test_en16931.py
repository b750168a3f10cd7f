"""
What we hand out is valid by rules that we did not write, and the rules are seen to refuse what is wrong.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Final

import pytest
from lxml import etree

from smsgate.billing.invoices import Invoice
from smsgate.errors import Invalid
from smsgate.invoicing.en16931 import Syntax, invoice_xml, schema_of
from tests.invoicing.papers import a_line, an_invoice, every_kind, october
from tests.invoicing.schematron import EN16931_UBL, FACTURX, FRANCE_CII, FRANCE_UBL, check
from tests.invoicing.second_producer import second_xml

RULES: Final = (
    (Syntax.CII, FACTURX),
    (Syntax.CII, FRANCE_CII),
    (Syntax.UBL, EN16931_UBL),
    (Syntax.UBL, FRANCE_UBL),
    (Syntax.PEPPOL, EN16931_UBL),
)
RULES_FIRED_MIN: Final = 40
PRICE_TAGS: Final = frozenset({"ChargeAmount", "PriceAmount"})


@pytest.mark.parametrize("kind", every_kind())
def test_each_kind_of_document_passes_every_rule_of_its_syntax(kind: str) -> None:
    for syntax, rules in RULES:
        findings = check(invoice_xml(every_kind()[kind], syntax), rules)
        assert findings.failed == [], (syntax, rules)
        assert findings.rules_fired >= RULES_FIRED_MIN


WRONG: Final = (
    (Syntax.CII, FACTURX, b">2596.08<", b">2597.10<", "BR-CO-17"),
    (Syntax.CII, FACTURX, b">12980.39</ram:TaxBasisT", b">12980.38</ram:TaxBasisT", "BR-CO-13"),
    (Syntax.CII, FRANCE_CII, b"<ram:SubjectCode>PMT</ram:SubjectCode>", b"", "BR-FR-05"),
    (Syntax.CII, FRANCE_CII, b">44.925<", b">44.9250001<", "BR-FR-DEC-03"),
    (Syntax.UBL, EN16931_UBL, b">15576.47</cbc:TaxInc", b">15576.48</cbc:TaxInc", "BR-CO-15"),
    (Syntax.UBL, FRANCE_UBL, b">F-000123</cbc:ID>", b">F 000123#</cbc:ID>", "BR-FR-0"),
)


@pytest.mark.parametrize(("syntax", "rules", "right", "wrong", "rule"), WRONG)
def test_a_spoiled_document_is_refused_so_the_rules_really_ran(
    syntax: Syntax, rules: str, right: bytes, wrong: bytes, rule: str
) -> None:
    xml = invoice_xml(october(), syntax)
    assert right in xml
    failed = check(xml.replace(right, wrong), rules).failed
    assert any(rule in found for found in failed), failed


ORDINARY: Final = [
    kind for kind, invoice in every_kind().items()
    if not (invoice.preceding_number or invoice.paid_minor or invoice.other_currency)
]  # fmt: skip


def said(xml: bytes) -> Counter[tuple[str, str]]:
    """
    Return each leaf's path and text; prices and rates as numbers, since 20 and 20.000000 are the same rate.
    """
    root = etree.fromstring(xml)
    leaves: Counter[tuple[str, str]] = Counter()
    for leaf in root.iter():
        text = (leaf.text or "").strip()
        if len(leaf) or not text:
            continue
        if etree.QName(leaf).localname in {"ChargeAmount", "RateApplicablePercent"}:
            text = str(Decimal(text).normalize())
        leaves[re.sub(r"\[\d+\]", "", root.getroottree().getelementpath(leaf)), text] += 1
    return leaves


@pytest.mark.parametrize("kind", ORDINARY)
def test_two_producers_say_the_same(kind: str) -> None:
    invoice = every_kind()[kind]
    assert said(invoice_xml(invoice, Syntax.CII)) == said(second_xml(invoice))


def test_prices_of_more_than_four_decimals_are_told_per_thousand_and_lose_none() -> None:
    for syntax in Syntax:
        xml = invoice_xml(october(), syntax)
        assert b">44.925<" in xml  # 0.044925
        assert b">1000" in xml
        assert b">0.0471<" in xml


PRICES: Final = (1, 99, 100, 9_999, 10_000, 12_300, 123_456, 999_999, 1_000_001, 999_999_999)


def test_every_price_is_told_exactly_and_passes_the_rules() -> None:
    """Prices below a cent and quantities below zero, each beside the amount that it makes."""
    lines = [a_line(quantity, price) for price in PRICES for quantity in (1, 7, 123_457, -3)]
    invoice = an_invoice(lines)
    for syntax, rules in RULES:
        xml = invoice_xml(invoice, syntax)
        leaves = [leaf for leaf in etree.fromstring(xml).iter() if isinstance(leaf.tag, str)]
        told = [Decimal(leaf.text) for leaf in leaves if etree.QName(leaf).localname in PRICE_TAGS]
        for line, price in zip(lines, told, strict=True):
            assert price in {Decimal(line.unit_micros).scaleb(-6), Decimal(line.unit_micros).scaleb(-3)}
            assert price == round(price, 4)
        assert check(xml, rules).failed == [], (syntax, rules)


def test_a_stored_payload_renders_to_the_same_octets() -> None:
    for syntax in Syntax:
        assert invoice_xml(october(), syntax) == invoice_xml(october(), syntax)


def test_peppol_gets_one_note_and_its_own_profile() -> None:
    root = etree.fromstring(invoice_xml(october(), Syntax.PEPPOL))
    namespaces = {"cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2"}
    assert len(root.findall("cbc:Note", namespaces)) == 1
    assert "peppol.eu" in (root.findtext("cbc:CustomizationID", namespaces=namespaces) or "")


def test_what_the_xsd_refuses_is_one_plain_error_without_the_document_in_it() -> None:
    spoiled: Invoice = replace(october(), number="")
    with pytest.raises(Invalid, match="makes no valid XML") as caught:
        invoice_xml(spoiled, Syntax.CII)
    assert caught.value.code == "document_wrong"


def test_an_invoice_and_a_credit_note_are_each_held_to_their_own_schema() -> None:
    invoice, credit = (
        etree.fromstring(invoice_xml(paper, Syntax.UBL)) for paper in (october(), every_kind()["credit note"])
    )
    kinds = [schema_of(root.tag, Syntax.UBL) for root in (invoice, credit)]
    assert [[schema.validate(root) for root in (invoice, credit)] for schema in kinds] == [
        [True, False],
        [False, True],
    ]
    assert schema_of(invoice.tag, Syntax.PEPPOL) is kinds[0]  # compiled once
