"""Carriers' files are read to the last cell or refused with their line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from smsgate.billing.bill_differences import BillLine
from smsgate.billing.carrier_files import CarrierFile, CarrierRecord, FileTerms
from smsgate.billing.sheet_cells import Dates
from smsgate.errors import Invalid
from smsgate.protocol.message_ids import IdForm

NOON = datetime(2026, 10, 5, 12, tzinfo=UTC)


def opened(text: str, terms: FileTerms | None = None) -> CarrierFile:
    return CarrierFile(text.splitlines(keepends=True), "bill.csv", terms or FileTerms(), "EUR")


def rows_of(text: str) -> list[CarrierRecord] | list[BillLine]:
    file = opened(text)
    return list(file.records()) if file.by_message else list(file.lines())


@pytest.mark.parametrize(
    "text",
    [
        "Message ID,Submit Time,Parts,MCCMNC,Price,Currency\n0A1b,2026-10-05T12:00:00Z,2,20801,0.03,EUR\n",
        "\ufeffmsgid;date;segments;mcc;mnc;amount\r\n0A1b;2026-10-05 12:00:00+00:00;2;208;01;0,06\r\n",
        "id\tat\tquantity\tnetwork\tcost\n\n0A1b\t2026-10-05T14:00+02:00\t2\t208-01\t0.060000\n",
    ],
)
def test_columns_are_found_by_their_names_in_any_order_and_separator(text: str) -> None:
    file = opened(text)
    assert file.by_message
    (record,) = file.records()
    assert record._replace(line=0) == CarrierRecord(0, "a1b", NOON, 2, 60_000, "20801")
    assert (file.rows, file.skipped, file.ignored) == (1, 0, ())


def test_the_configuration_names_columns_and_rows_that_count_and_how_things_are_written() -> None:
    terms = FileTerms(
        zone_name="Europe/Paris", dates=Dates.DAY_FIRST, cents=True, ids=IdForm.DEC_TO_HEX,
        columns={"message_id": "Reference", "amount": "Montant HT", "at": "Horodatage"},
        keep={"Type": ["mt"]},
    )  # fmt: skip
    file = opened(
        "Reference;Type;Horodatage;Montant HT;Price\n"
        "2587;MT;05/10/2026 14:00:00;3,5;99\n"
        "2588;MO;05/10/2026 14:00:00;1;99\n",
        terms,
    )
    assert list(file.records()) == [CarrierRecord(2, "a1b", NOON, 1, 35_000, "")]
    assert (file.rows, file.skipped) == (1, 1)


def test_a_file_without_messages_has_lines_by_network_and_price() -> None:
    file = opened("mccmnc,quantity,rate,total\n20801,1000,0.03,30.00\n208,3,,0.10\n,7,0.05,\n")
    assert not file.by_message
    assert list(file.lines()) == [
        BillLine("20801", 30_000, 1_000, 30_000_000),
        BillLine("208", None, 3, 100_000),
        BillLine("*", 50_000, 7, 350_000),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "must have message_id and at"),
        ("id,price\n1,2\n", "must have message_id and at"),
        ("network,quantity\n20801,2\n", "must have message_id and at"),
        ("id,msgid,at\n1,1,2026-10-05\n", "two columns for message_id"),
        ("id,at\n1,2026-10-05T12:00Z,0\n", "line 2: it has 3 cells, the header has 2"),
        ("id,at\n,2026-10-05T12:00Z\n", "line 2: '' is no message id"),
        ("id,at\n1,yesterday\n", "line 2: 'yesterday' is no iso date"),
        ("id,at,parts\n1,2026-10-05T12:00Z,-1\n", "'-1' is no count of segments"),
        ("id,at,parts\n1,2026-10-05T12:00Z,1.5\n", "'1.5' is no count of segments"),
        ("id,at,cost\n1,2026-10-05T12:00Z,1e3\n", "line 2"),
        ('id,at,cost\n1,2026-10-05T12:00Z,"1,000.00"\n', "thousands separator"),
        ("id,at,cost,currency\n1,2026-10-05T12:00Z,1,USD\n", "it is in 'USD', and we count EUR"),
        ("id,at,mccmnc\n1,2026-10-05T12:00Z,2081\n", "was a leading zero lost?"),
        ("network,quantity,price,total\n20801,1,,\n", "neither a price nor an amount"),
        ('id,at\n"1,2026-10-05T12:00Z\n', "no CSV"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        rows_of(text)
    assert sentence in str(refused.value)
    assert (refused.value.code, "bill.csv" in str(refused.value)) == ("bill_invalid", True)


@pytest.mark.parametrize(
    ("terms", "sentence"),
    [
        (FileTerms(columns={"amount": "Betrag"}), "no column 'Betrag', which columns names for amount"),
        (FileTerms(keep={"Type": ["MT"]}), "no column 'Type', which keep names"),
        (FileTerms(ids=IdForm.HEX_TO_DEC), "no message id of the form hex_to_dec"),
    ],
)
def test_a_table_that_does_not_fit_the_file_is_told(terms: FileTerms, sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence):
        list(opened("id,at\nxyz,2026-10-05T12:00Z\n", terms).records())
