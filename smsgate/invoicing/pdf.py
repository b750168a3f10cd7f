"""
The page that a merchant reads: PDF/A-3b by fpdf2, fonts embedded, the same octets for the same payload.

With the CII inside it is a Factur-X 1.09 file. What campaigns brought stands on it too; the e-invoice has no
place for that.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import as_file, files
from typing import Final
from unicodedata import category, normalize

from facturx.facturx import generate_xmp_object
from fpdf import FPDF
from fpdf.enums import Align, TableBordersLayout, VAlign, XPos, YPos
from fpdf.fonts import FontFace, TTFFont
from lxml import etree

from smsgate.billing.documents import CREDITS, PREPAYMENTS, DocumentType
from smsgate.billing.invoices import SIREN_SCHEME, Invoice, Party
from smsgate.billing.vat import NO_RATE
from smsgate.billing.written_dates import day_text, span_text
from smsgate.invoicing.en16931 import Syntax, about, invoice_xml, late_notes_of, terms_of
from smsgate.invoicing.wording import Wording, wording
from smsgate.money import micros_to_text, minor_to_text

FACTURX_FILENAME: Final = "factur-x.xml"
FACTURX_URN: Final = "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#"
FONT: Final = "DejaVu"
MORE: Final = (
    "DejaVuMore"  # letters that FONT lacks, whose glyphs are those of papers since the first edition
)
MORE_EDITION: Final = 4  # since then papers show what MORE has, and a mark for what neither has
MARK: Final = "\ufffd"
UNSEEN: Final = frozenset({"Cc", "Cf"})  # categories of characters that nobody misses on paper
SIZE_PT: Final = 9
SMALL_PT: Final = 7.5
MARGIN_MM: Final = 18
LINE_MM: Final = 4.6
GREY: Final = (110, 110, 110)
SHADE: Final = (240, 242, 245)


class _Paper(FPDF):
    """A4 with the page number at the foot."""

    def __init__(self, words: Wording, foot: str, edition: int) -> None:
        super().__init__(enforce_compliance="PDF/A-3B")
        self._words, self._foot = words, foot
        self._shows_all = edition >= MORE_EDITION  # else an old paper, whose octets stay
        self._has_more = False
        self.marked = False  # something had no glyph
        self.set_margin(MARGIN_MM)
        self.set_auto_page_break(auto=True, margin=MARGIN_MM)
        self._add_font(FONT, "DejaVuSans")
        self.set_font(FONT, size=SIZE_PT)

    def _add_font(self, family: str, name: str) -> None:
        for style, file in (("", f"{name}.ttf"), ("B", f"{name}-Bold.ttf")):
            with as_file(files("smsgate.invoicing").joinpath("fonts", file)) as path:
                self.add_font(family, style, path)

    def normalize_text(self, text: str) -> str:
        """Return what is drawn: every text passes here. What has no glyph would vanish without a word."""
        text = super().normalize_text(text)
        if not self._shows_all:
            return text
        return "".join(map(self._drawn, normalize("NFC", text)))

    def _drawn(self, letter: str) -> str:
        if self._has(letter) or category(letter) in UNSEEN:
            return letter
        if not self._has_more:  # only then: a font that is not used is in the file, too
            self._has_more = True
            self._add_font(MORE, "DejaVuSansMore")
            self.set_fallback_fonts([MORE], exact_match=False)
            return self._drawn(letter)
        self.marked = True
        return MARK

    def _has(self, letter: str) -> bool:
        """Return whether a font has it; bold ones have the same letters as others."""
        return any(isinstance(font, TTFFont) and ord(letter) in font.cmap for font in self.fonts.values())

    def footer(self) -> None:
        self.set_y(-MARGIN_MM + 4)
        self.set_font(FONT, size=SMALL_PT)
        self.set_text_color(*GREY)
        page = self._words.page.format(page=self.page_no(), pages="{nb}")
        self.cell(0, LINE_MM, f"{self._foot} · {page}", align=Align.C)
        self.set_text_color(0)
        self.set_font(FONT, size=SIZE_PT)

    def say(self, text: str, *, bold: bool = False, size: float = SIZE_PT, grey: bool = False) -> None:
        self.set_font(FONT, style="B" if bold else "", size=size)
        self.set_text_color(*(GREY if grey else (0, 0, 0)))
        self.multi_cell(0, size / SIZE_PT * LINE_MM, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT, align=Align.L)
        self.set_text_color(0)
        self.set_font(FONT, size=SIZE_PT)


def facturx_pdf(invoice: Invoice) -> bytes:
    """
    Return the document as a PDF with its CII attached, dated on its day of issue.

    The library for Factur-X would stamp the present moment; so the file is attached here, and only the
    metadata are the library's.

    Raises:
        Invalid: code `document_wrong`, no valid XML can be made of it.
    """
    words = wording(invoice.language, invoice.edition)
    title = f"{_title(invoice, words)} {invoice.number}"
    moment = datetime.combine(invoice.issued_on, datetime.min.time(), UTC)
    paper = _Paper(words, f"{invoice.seller.name} · {title}", invoice.edition)
    paper.set_lang(invoice.language)
    paper.set_creation_date(moment)
    paper.set_xmp_metadata(_xmp(invoice, title, moment))
    paper.embed_file(
        bytes=invoice_xml(invoice, Syntax.CII),
        basename=FACTURX_FILENAME,
        desc="Factur-X Invoice",
        mime_type="text/xml",
        associated_file_relationship="Data",
        creation_date=moment,
        modification_date=moment,
        compress=True,
    )
    _page(paper, invoice, words, title)
    return bytes(paper.output())


def _xmp(invoice: Invoice, title: str, moment: datetime) -> str:
    metadata = generate_xmp_object(
        {
            "pdfa3_flavor": "B",
            "title": title,
            "author": invoice.seller.name,
            "subject": f"Factur-X {invoice.number}, {invoice.period}, {invoice.buyer.name}",
            "producer": "fpdf2",
            "creator_tool": "smsgate",
            "timestamp": moment.isoformat(timespec="seconds"),
            "version": "1.0",
            "documenttype": "INVOICE",
            "xml_filename": FACTURX_FILENAME,
            "xmp_level": "EN 16931",
            "urn": FACTURX_URN,
        }
    )
    xmp: str = etree.tostring(metadata, encoding="unicode", pretty_print=True)
    return xmp


def _title(invoice: Invoice, words: Wording) -> str:
    titles = {
        DocumentType.CREDIT_NOTE: words.credit_note,
        DocumentType.PREPAYMENT: words.prepayment,
        DocumentType.PREPAYMENT_CREDIT: words.prepayment_credit,
        DocumentType.SELF_BILLED: words.self_billed,
    }
    return titles.get(invoice.code, words.invoice)


def _page(paper: _Paper, invoice: Invoice, words: Wording, title: str) -> None:
    paper.add_page()
    paper.say(title, bold=True, size=17)
    if invoice.preceding_number:
        credited = "" if invoice.preceding_on is None else day_text(invoice.preceding_on, invoice.days_in)
        paper.say(words.credits.format(number=invoice.preceding_number, date=credited), grey=True)
    paper.ln(3)
    _head(paper, invoice, words)
    _lines(paper, invoice, words)
    _totals(paper, invoice, words)
    _foot(paper, invoice, words)
    if invoice.results:
        _results(paper, invoice, words)
    if paper.marked:
        paper.ln(1.5)
        paper.say(words.not_shown.format(mark=MARK), size=SMALL_PT, grey=True)


def _party(party: Party, words: Wording) -> str:
    country = party.country_name or party.country
    texts = [party.name, party.street, f"{party.postcode} {party.city}", country]
    if party.legal_id:
        register = words.registered if party.legal_scheme == SIREN_SCHEME else words.registered_elsewhere
        texts.append(f"{register} {party.legal_id}")
    if party.vat_number:
        texts.append(f"{words.vat_number} {party.vat_number}")
    return "\n".join(filter(None, texts))


def _head(paper: _Paper, invoice: Invoice, words: Wording) -> None:
    facts = (
        (words.number, invoice.number),
        (words.issued, day_text(invoice.issued_on, invoice.days_in)),
        (
            words.credit_due if invoice.code in CREDITS else words.due,
            day_text(invoice.due_on, invoice.days_in),
        ),
        (words.period, span_text(invoice.first_day, invoice.last_day, invoice.days_in)),
    )
    with paper.table(
        borders_layout=TableBordersLayout.NONE,
        col_widths=(32, 32, 36),
        line_height=LINE_MM,
        first_row_as_headings=False,
        v_align=VAlign.T,
        text_align=Align.L,
    ) as table:
        row = table.row()
        row.cell(f"{words.seller}{words.colon}\n{_party(invoice.seller, words)}")
        row.cell(f"{words.buyer}{words.colon}\n{_party(invoice.buyer, words)}")
        row.cell("\n".join(f"{name}{words.colon} {value}" for name, value in facts if name))
    paper.ln(5)


def _lines(paper: _Paper, invoice: Invoice, words: Wording) -> None:
    money = invoice.currency
    pieces = words.pieces if invoice.code in PREPAYMENTS else words.quantity
    if invoice.code is DocumentType.SELF_BILLED:
        pieces = words.payout_pieces
    with paper.table(
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        col_widths=(46, 13, 15, 11, 15),
        line_height=LINE_MM,
        text_align=(Align.L, Align.R, Align.R, Align.R, Align.R),
        repeat_headings=1,
        padding=(0.8, 1),
        headings_style=FontFace(emphasis="BOLD", fill_color=SHADE),
    ) as table:
        head = table.row()
        for text in (
            words.item,
            pieces,
            f"{words.unit_price} ({money})",
            words.vat,
            f"{words.net} ({money})",
        ):
            head.cell(text)
        for line in invoice.lines:
            row = table.row()
            row.cell(f"{line.name}\n{about(line, invoice)}")
            row.cell(_grouped(line.quantity))
            row.cell(micros_to_text(line.unit_micros).replace(".", words.decimal_point))
            row.cell(_rate(line.vat_rate_micros, words))
            row.cell(_money(line.net_minor, money, words))
    paper.ln(3)


def _totals(paper: _Paper, invoice: Invoice, words: Wording) -> None:
    money = invoice.currency
    rows = [(words.total_net, _money(invoice.net_minor, money, words))]
    for vat in invoice.vats:
        rate = _rate(vat.rate_micros, words)
        text = f"{words.vat} {rate} / {_money(vat.basis_minor, money, words)}"
        rows.append((f"{text}\n{vat.reason}" if vat.reason else text, _money(vat.amount_minor, money, words)))
    rows.append((words.total_vat, _money(invoice.vat_minor, money, words)))
    if invoice.other_currency:
        other = _money(invoice.other_vat_minor, invoice.other_currency, words)
        rows.append((words.other_vat.format(currency=invoice.other_currency), other))
    rows.append((f"{words.total_gross} {money}", _money(invoice.gross_minor, money, words)))
    rows += [
        (
            words.advance.format(
                number=advance.number,
                date=day_text(advance.issued_on, invoice.days_in),
                vat=_money(advance.vat_minor, money, words),
            ),
            _money(-advance.gross_minor, money, words),
        )
        for advance in invoice.advances
    ]
    if invoice.paid_minor and not invoice.advances:
        rows.append((words.paid, _money(-invoice.paid_minor, money, words)))
    last = words.to_receive if invoice.code in CREDITS else words.to_pay
    rows.append((f"{last} {money}", _money(invoice.due_minor, money, words)))
    with paper.table(
        borders_layout=TableBordersLayout.NONE,
        col_widths=(72, 28),
        width=100,
        align=Align.R,
        line_height=LINE_MM,
        text_align=(Align.L, Align.R),
        first_row_as_headings=False,
        padding=(0.4, 1),
    ) as table:
        for at, (name, value) in enumerate(rows):
            style = FontFace(emphasis="BOLD", fill_color=SHADE) if at == len(rows) - 1 else None
            row = table.row()
            row.cell(name, style=style)
            row.cell(value, style=style)
    paper.ln(3)


def _foot(paper: _Paper, invoice: Invoice, words: Wording) -> None:
    owed = (
        invoice.due_minor > 0 or not invoice.edition
    )  # papers without an edition asked for a transfer of nothing
    if invoice.iban and invoice.code not in CREDITS and owed:
        paper.say(words.payment.format(iban=invoice.iban, number=invoice.number))
    paper.say(terms_of(invoice, words)[-1])
    for text in late_notes_of(invoice, words):
        paper.say(text, size=SMALL_PT, grey=True)
    if invoice.code in PREPAYMENTS:
        return
    exact, rounding = (
        micros_to_text(micros).replace(".", words.decimal_point)
        for micros in (invoice.exact_micros, invoice.rounding_micros)
    )
    paper.ln(1.5)
    paper.say(
        words.exact.format(exact=exact, rounding=rounding, currency=invoice.currency),
        size=SMALL_PT,
        grey=True,
    )
    if invoice.code is not DocumentType.SELF_BILLED:
        paper.say(words.trace, size=SMALL_PT, grey=True)


def _results(paper: _Paper, invoice: Invoice, words: Wording) -> None:
    paper.ln(5)
    paper.say(words.results, bold=True, size=11)
    paper.ln(1)
    money = invoice.currency
    with paper.table(
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        col_widths=(31, 13, 12, 15, 15, 14),
        line_height=LINE_MM,
        text_align=(Align.L, Align.R, Align.R, Align.R, Align.R, Align.R),
        repeat_headings=1,
        padding=(0.8, 1),
        headings_style=FontFace(emphasis="BOLD", fill_color=SHADE),
    ) as table:
        head = table.row()
        for text in (
            words.campaign, words.messages, words.delivered, words.orders,
            f"{words.orders_value} ({money})", f"{words.cost} ({money})",
        ):  # fmt: skip
            head.cell(text)
        for result in invoice.results:
            row = table.row()
            row.cell(result.name)
            for count in (result.messages, result.delivered, result.orders):
                row.cell(_grouped(count))
            row.cell(_money(result.orders_minor, money, words))
            row.cell(_money(result.cost_minor, money, words))


def _rate(rate_micros: int, words: Wording) -> str:
    if rate_micros == NO_RATE:  # of category O alone
        return words.no_rate
    return f"{micros_to_text(rate_micros, 0).replace('.', words.decimal_point)} %"


def _money(minor: int, currency: str, words: Wording) -> str:
    whole, point, rest = minor_to_text(abs(minor), currency).partition(".")
    sign = "-" if minor < 0 else ""
    return f"{sign}{_grouped(int(whole))}{words.decimal_point if point else ''}{rest}"


def _grouped(number: int) -> str:
    """Group digits by thousands with a narrow no-break space."""
    return f"{number:,}".replace(",", "\u202f")
