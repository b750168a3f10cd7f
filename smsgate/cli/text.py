"""`smsgate text`: what a text costs on air, and what would make it cheaper."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from smsgate.cli.examples import examples
from smsgate.cli.json_lines import text_or_lines
from smsgate.cli.output import JsonOption, show, show_json, show_table
from smsgate.protocol.encodings import ALL_SHIFTS, Written, alternatives
from smsgate.protocol.replacements import Replaced, replace_for
from smsgate.protocol.shift_tables import DEFAULT, LANGUAGE_IDS
from smsgate.protocol.text_inspection import UNITS, inspect_text

EPILOG: Final = examples(
    'smsgate text "Votre commande est bien reçue, elle sera livrée mardi"',
    "smsgate text texts.jsonl > answers.jsonl",
    """echo '{"id":1,"kind":"segment","text":"Reçu"}' | smsgate text""",
)
HELP: Final = (
    "Say how a text goes on air: alphabet, parts, octets, and what would make it cheaper.\n\n"
    'Without a text, lines are read: {"id","kind","text","options"?} each, with the kinds segment, shift, '
    "shift-segment, pack, unpack and decode; one answer per line, in order. What else an object holds is not "
    "looked at. Exit code 1: the text cannot be sent, or at least one line could not be answered."
)
PRICE_MICROS_MAX: Final = 10**12  # a million units of a currency; 255 segments of it fit into 64 bits
_LANGUAGES: Final = {number: code for code, number in LANGUAGE_IDS.items()}


def text(
    words: Annotated[
        str | None,
        typer.Argument(
            metavar="[TEXT | FILE]",
            help="A text, shown for people, or a file of lines; - is standard input.",
            show_default=False,
        ),
    ] = None,
    price: Annotated[
        int,
        typer.Option(
            min=0,
            max=PRICE_MICROS_MAX,
            metavar="MICROS",
            help="Price of one segment, to show what each way costs.",
        ),
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    words = text_or_lines(words, inspect_text)
    ways, replaced = alternatives(words, ALL_SHIFTS), replace_for(words)
    shorter = alternatives(replaced.text, ALL_SHIFTS)[0] if replaced.replacements else None
    if as_json:
        show_json(_as_json(words, ways, replaced, price))
    else:
        _show(ways, replaced, shorter, price)


def _show(ways: list[Written], replaced: Replaced, shorter: Written | None, price: int) -> None:
    rows = [_row(way, price) for way in ways]
    if shorter is not None and shorter.air.segments < ways[0].air.segments:
        rows.append(("with the replacements below", *_row(shorter, price)[1:]))
    header = ("ALPHABET", "PARTS", "UNITS", "OF EACH PART", *(("MICROS",) if price else ()))
    show_table(header, rows)
    for change in replaced.replacements:
        show(f"at {change.position}: {change.before} -> {change.after or '(left out)'}")
    if replaced.left:
        show(f"nothing stands for: {' '.join(replaced.left)}")


def _row(way: Written, price: int) -> tuple[str, ...]:
    air = way.air
    cells = (_name(way), str(air.segments), f"{air.units} {UNITS[air.encoding]}", _sizes(air.segment_units))
    return (*cells, str(air.segments * price)) if price else cells


def _sizes(units: tuple[int, ...]) -> str:
    return " + ".join(map(str, units))


def _name(way: Written) -> str:
    if way.encoding == "ucs2":
        return "UCS-2"
    if way.shift == DEFAULT:
        return "GSM 03.38"
    tables = [
        f"{kind} shift {_LANGUAGES[number]}"
        for kind, number in (("single", way.shift.single), ("locking", way.shift.locking))
        if number
    ]
    return f"GSM 03.38, {' and '.join(tables)}"


def _as_json(words: str, ways: list[Written], replaced: Replaced, price: int) -> dict[str, object]:
    return {
        "text": words,
        **inspect_text({"kind": "segment", "text": words}),
        "alternatives": [
            {
                "alphabet": _name(way),
                "encoding": way.encoding,
                UNITS[way.encoding]: way.air.units,
                "segments": way.air.segments,
                "segment_sizes": list(way.air.segment_units),
                "price_micros": way.air.segments * price,
            }
            for way in ways
        ],
        "replaced": replaced.text,
        "replacements": [change._asdict() for change in replaced.replacements],
        "left": list(replaced.left),
    }
