"""The page: readable, whole, PDF/A-3b with the e-invoice inside, the same octets for the same payload."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, replace
from datetime import date
from io import BytesIO
from typing import Any
from unicodedata import normalize

import pypdfium2
import pytest
from facturx import get_facturx_xml_from_pdf
from pypdf import PdfReader

from smsgate.billing.documents import CREDITS, DocumentType
from smsgate.billing.invoices import EDITION, Invoice, canonical_json, invoice_from_json
from smsgate.billing.written_dates import day_text
from smsgate.invoicing.en16931 import Syntax, invoice_xml
from smsgate.invoicing.pdf import facturx_pdf
from smsgate.invoicing.wording import wording
from tests.invoicing.papers import BERLIN, OSLO, a_line, an_invoice, before_editions, every_kind, october
from tests.invoicing.schematron import check
from tests.invoicing.test_en16931 import RULES


def text_of(pdf: bytes) -> str:
    document = pypdfium2.PdfDocument(pdf)
    return " ".join(document[at].get_textpage().get_text_bounded() for at in range(len(document))).replace(
        "\u202f", " "
    )


def test_the_page_shows_every_amount_of_the_payload() -> None:
    text = text_of(facturx_pdf(october()))
    for shown in (
        "F-000123",
        "12 980,39",
        "2 596,08",
        "15 576,47",
        "123 457",
        "0,044925",
        "FR96552100554",
        "Madonna €",
        "63 879,00",
    ):
        assert shown in text


def test_the_e_invoice_inside_is_the_one_that_the_payload_makes() -> None:
    _name, xml = get_facturx_xml_from_pdf(facturx_pdf(october()), check_xsd=True, check_schematron=False)
    assert xml == invoice_xml(october(), Syntax.CII)


def test_the_file_says_that_it_is_pdf_a_3b_and_embeds_its_fonts() -> None:
    reader = PdfReader(BytesIO(facturx_pdf(october())))
    root: Any = reader.trailer["/Root"]
    metadata = root["/Metadata"].get_data().decode()
    assert "<pdfaid:part>3</pdfaid:part>" in metadata
    assert "<pdfaid:conformance>B</pdfaid:conformance>" in metadata
    resources: Any = reader.pages[0]["/Resources"]
    for font in resources["/Font"].values():
        descriptor = font["/DescendantFonts"][0]["/FontDescriptor"]
        assert "/FontFile2" in descriptor


@pytest.mark.parametrize("kind", every_kind())
def test_each_kind_of_document_makes_the_same_octets_again(kind: str) -> None:
    invoice = every_kind()[kind]
    assert facturx_pdf(invoice) == facturx_pdf(invoice)


def test_a_credit_note_names_the_invoice_that_it_credits() -> None:
    text = text_of(facturx_pdf(every_kind()["credit note"]))
    assert "Avoir sur la facture F-000123 du 5 novembre 2026" in text
    assert wording("fr").to_receive in text


@pytest.mark.parametrize("kind", every_kind())
def test_no_date_of_a_page_is_written_as_machines_write_it(kind: str) -> None:
    assert re.findall(r"\b20[0-9]{2}-[0-9]{2}\b", text_of(facturx_pdf(every_kind()[kind]))) == []


@pytest.mark.parametrize("kind", every_kind())
def test_a_document_from_before_days_were_words_stays_what_it_was(kind: str) -> None:
    """Its payload says nothing of them, and its files are made again to the octets that were handed out."""
    invoice = replace(before_editions(every_kind()[kind]), days_in="")
    payload = canonical_json(invoice)
    assert b"days_in" not in payload
    assert invoice_from_json(payload) == invoice
    page, xml = text_of(facturx_pdf(invoice)), invoice_xml(invoice, Syntax.CII).decode()
    month = wording(invoice.language, 0).month_number.format(month=invoice.lines[0].origin)
    for text in (page, xml):
        assert " ".join(filter(None, (invoice.lines[0].note, month))) in " ".join(text.split())
    assert f"{invoice.first_day} – {invoice.last_day}" in " ".join(page.split())
    due = wording(invoice.language, 0).payment_terms.format(due=invoice.due_on.isoformat())
    assert due in xml or wording(invoice.language, 0).nothing_due in xml


def test_the_octets_of_documents_from_before_editions_are_these() -> None:
    """Files that were handed out are made again to the same octets (I20); a new edition keeps these words."""
    octets = hashlib.sha256()
    for invoice in every_kind().values():
        before = before_editions(invoice)
        assert b"edition" not in canonical_json(before)
        assert b"country_name" not in canonical_json(before)
        assert invoice_from_json(canonical_json(before)) == before
        octets.update(text_of(facturx_pdf(before)).encode())
        for syntax in Syntax:
            octets.update(invoice_xml(before, syntax))
    assert octets.hexdigest()[:16] == "25fcfe6edec766dd"


@pytest.mark.parametrize(
    ("edition", "digest"), [(1, "ded96d4d58130f93"), (2, "e5a98084e63674ef"), (3, "61f0ebd6e1202495")]
)
def test_the_octets_of_documents_of_older_editions_are_these(edition: int, digest: str) -> None:
    """In 1 only credit notes asked for a payment; in 2 they told of late payment as invoices do."""
    octets = hashlib.sha256()
    for invoice in every_kind().values():
        older = replace(invoice, edition=edition)
        assert invoice_from_json(canonical_json(older)) == older
        octets.update(text_of(facturx_pdf(older)).encode())
        for syntax in Syntax:
            octets.update(invoice_xml(older, syntax))
    assert octets.hexdigest()[:16] == digest


def named(name: str, edition: int = EDITION) -> Invoice:
    invoice = every_kind()["invoice"]
    return replace(invoice, edition=edition, buyer=replace(invoice.buyer, name=name))


def test_papers_of_older_editions_keep_their_octets_whatever_letters_they_lack() -> None:
    octets = hashlib.sha256()
    for edition in range(4):
        octets.update(facturx_pdf(named("Καφές Кафе кафе\u0301 שלום Ấn متجر", edition)))
    assert octets.hexdigest()[:16] == "24484787488baca3"


@pytest.mark.parametrize(
    "name",
    ["Ελληνικός Καφές", "Ὀδός", "Кафе Ґанок", "Nguyễn Ấn", "Հայաստան", "ქართული", "Ǆwig ẞ", "Jose\u0301"],
)
def test_a_party_is_written_in_its_letters(name: str) -> None:
    text = text_of(facturx_pdf(named(name)))
    assert normalize("NFC", name) in text
    assert "\ufffd" not in text


@pytest.mark.parametrize(
    "name", ["متجر الهدى", "שלום", "商店", "Café ☕"]
)  # right to left, and what no font has
def test_what_the_page_cannot_show_is_marked_and_said_and_the_e_invoice_has_it(name: str) -> None:
    """It vanished without a word."""
    pdf = facturx_pdf(named(name))
    shown = "".join(letter if letter in "Café " else "\ufffd" for letter in name)
    text = " ".join(text_of(pdf).split())
    assert shown in text
    assert " ".join(wording("fr").not_shown.format(mark="\ufffd").split()).replace("\u00a0", " ") in text
    _name, xml = get_facturx_xml_from_pdf(pdf, check_xsd=True, check_schematron=False)
    assert name in xml.decode()


def test_a_page_that_shows_all_says_nothing_of_letters() -> None:
    assert wording("fr").not_shown.split("{mark}")[1].strip() not in text_of(facturx_pdf(october()))


@pytest.mark.parametrize("kind", every_kind())
def test_a_credit_note_asks_for_no_payment_and_is_never_due(kind: str) -> None:
    invoice = every_kind()[kind]
    page, xml = text_of(facturx_pdf(invoice)), invoice_xml(invoice, Syntax.CII).decode()
    words, credit = wording(invoice.language), invoice.code in CREDITS
    day = day_text(invoice.due_on, invoice.days_in)
    asked, nothing = words.payment_terms.format(due=day), " ".join(words.credit_terms.split())
    assert (f"{words.due}{words.colon}".replace("\u00a0", " ") in page) is not credit
    for text in (" ".join(page.split()), " ".join(xml.split())):
        assert (nothing in text) is credit
        assert asked not in text or not credit


@pytest.mark.parametrize("edition", [2, EDITION])
@pytest.mark.parametrize("code", sorted(CREDITS))
@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_credit_note_tells_nothing_of_paying_late(language: str, code: DocumentType, edition: int) -> None:
    """France wants its three notes there, too (BR-FR-05): they say that they do not apply."""
    credit = replace(
        every_kind()["credit note"], code=code, language=language, days_in=language, edition=edition
    )
    words, before = wording(language, edition), edition == 2
    forms = {syntax: invoice_xml(credit, syntax) for syntax in Syntax}
    told = [text_of(facturx_pdf(credit)), *(xml.decode() for xml in forms.values())]
    for text in (words.recovery_fee, words.late_penalty, words.no_discount):
        assert [" ".join(text.split()) in " ".join(form.split()) for form in told] == [before] * len(told)
    if before:
        assert words.not_owed == ""
    else:
        assert [text.count(words.not_owed) for text in told] == [0, 3, 3, 0]
        assert not any(b"DueDate" in xml for xml in forms.values())
    for syntax, rules in RULES:
        assert check(forms[syntax], rules).failed == [], (syntax, rules)


@pytest.mark.parametrize("kind", every_kind())
def test_a_french_page_has_a_space_before_high_marks(kind: str) -> None:
    """The reader of the page tells no kind of space; that it does not break is looked at in the words."""
    invoice = every_kind()[kind]
    if invoice.language == "fr":
        page = text_of(facturx_pdf(invoice))
        assert "Vendeur :" in page
        assert "Émise le : 5 novembre 2026" in page
        assert re.findall(r"\S+[:;](?=\s)", page.replace(" :", "").replace(" ;", "")) == []


def test_no_french_word_of_documents_has_a_breaking_space_before_a_high_mark() -> None:
    texts = [text for text in asdict(wording("fr")).values() if re.search(r"[^\u00a0][:;%](?=\s|$)", text)]
    assert texts == []


def test_a_party_has_its_country_in_the_language_of_the_page() -> None:
    page = text_of(facturx_pdf(october(buyer=BERLIN)))
    assert re.search(r"10119 Berlin\s+Allemagne\s", page)
    assert re.search(r"75002 Paris\s+France\s", page)
    assert re.search(r"10119 Berlin\s+Germany\s", text_of(facturx_pdf(every_kind()["reverse charge"])))


def test_only_a_french_register_is_called_siren() -> None:
    page = text_of(facturx_pdf(october(buyer=OSLO)))
    assert "N° d'immatriculation 974760673" in page
    assert page.count("SIREN") == 1


def test_a_payout_counts_no_segments_and_what_has_no_rate_has_no_code() -> None:
    assert "Segments" not in text_of(facturx_pdf(every_kind()["self-billed payout"]))
    page = text_of(facturx_pdf(every_kind()["outside the EU"]))
    assert "VAT outside scope / 122.00" in page
    assert "O none" not in page


def test_nobody_is_asked_to_pay_what_was_paid() -> None:
    assert "virement" not in text_of(facturx_pdf(every_kind()["paid in advance"]))
    assert "virement" in text_of(facturx_pdf(october()))


def test_many_lines_go_over_pages_with_their_heading_and_none_is_lost() -> None:
    lines = [a_line(1_000 + at, 45_670, name=f"Network {at:03d}") for at in range(120)]
    text = text_of(facturx_pdf(an_invoice(lines, language="en")))
    assert all(f"Network {at:03d}" in text for at in range(120))
    assert text.count("Unit price") >= 4
    assert "Page 4 of" in text


def test_ink_is_on_the_page_and_nothing_runs_over_its_edge() -> None:
    page = pypdfium2.PdfDocument(facturx_pdf(october()))[0].render(scale=1).to_pil().convert("L")
    width, height = page.size
    left, top, right, bottom = page.point(lambda level: 255 * (level < 200)).getbbox()
    assert left > width * 0.07
    assert right < width * 0.93
    assert top > height * 0.04
    assert bottom < height * 0.98


def test_an_unknown_language_gets_english() -> None:
    assert wording("xx") is wording("en")
    assert "Invoice F-000123" in text_of(facturx_pdf(october(language="xx", issued_on=date(2026, 11, 6))))
