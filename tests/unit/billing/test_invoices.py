"""The payload: exact to the last minor unit, canonical, read again without loss."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.billing.invoices import canonical_json, check_invoice, invoice_from_json
from smsgate.errors import Invalid
from tests.invoicing.papers import a_line, an_invoice, every_kind, october


@pytest.mark.parametrize("kind", every_kind())
def test_each_kind_of_document_is_exact_and_read_again_without_loss(kind: str) -> None:
    invoice = every_kind()[kind]
    check_invoice(invoice)
    assert invoice_from_json(canonical_json(invoice)) == invoice
    assert canonical_json(invoice_from_json(canonical_json(invoice))) == canonical_json(invoice)


def test_the_sample_month_has_the_amounts_that_were_worked_out_by_hand() -> None:
    month = october()
    assert (month.net_minor, month.vat_minor, month.gross_minor) == (1_298_039, 259_608, 1_557_647)
    assert month.rounding_micros == 1_115


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"net_minor": 1_298_040}, "net is"),
        ({"vat_minor": 259_609}, "VAT is"),
        ({"gross_minor": 1_557_648}, "gross is"),
        ({"rounding_micros": 0}, "rounding is"),
        ({"number": "F 1"}, "not a number of a document"),
        ({"number": "F" * 36}, "not a number of a document"),
        ({"vats": ()}, "a VAT basis"),
        ({"currency": "XXX"}, "currency"),
    ],
)
def test_one_wrong_amount_is_found_and_named(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence):
        check_invoice(replace(october(), **changes))  # type: ignore[arg-type]


def test_a_line_that_is_one_minor_unit_off_is_found() -> None:
    first, *rest = october().lines
    with pytest.raises(Invalid, match="line 1"):
        check_invoice(replace(october(), lines=(replace(first, net_minor=first.net_minor + 1), *rest)))


@given(st.lists(st.tuples(st.integers(-(10**7), 10**7), st.integers(0, 10**7)), min_size=1, max_size=8))
def test_exact_rounding_by_fractions_agrees(lines: list[tuple[int, int]]) -> None:
    invoice = an_invoice(a_line(quantity, unit) for quantity, unit in lines)
    check_invoice(invoice)
    exact = sum(Fraction(quantity * unit, 10**6) for quantity, unit in lines)
    assert Fraction(invoice.exact_micros, 10**6) == exact
    assert abs(exact - Fraction(invoice.net_minor, 100)) <= Fraction(len(lines), 200)


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b'{"code":"380"}', b"\xff"])
def test_what_is_no_payload_is_refused(payload: bytes) -> None:
    with pytest.raises(Invalid, match="not the payload"):
        invoice_from_json(payload)
