from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.campaigns.triggers import apply_mapping, check_mapping, offer_paths, parse_path, values_at
from smsgate.errors import DomainError, Invalid

MAPPING: dict[str, Any] = {
    "item": "$.line_items[0].title",
    "price": "$.total_price",
    "currency": {"path": "$.currency", "default": "EUR"},
    "shop": "Boxman",
    "text": {"join": ["Boxman: ", "$.line_items[0].title", " 19,90€"]},
    "recipients": "$.customer.phone",
    "quantity_max": {"literal": 5},
    "stock": "$.stock",
    "external_id": "$.id",
    "fields": {"name": {"path": "$.customer.first_name", "default": "client"}},
}
DOCUMENT: dict[str, Any] = {
    "id": 820982911946154508,
    "total_price": "19.90",
    "currency": "EUR",
    "customer": {"phone": "+33612345678", "first_name": "Ann"},
    "line_items": [{"title": "CD Madonna"}],
    "stock": "12",
}


def test_a_shops_own_json_becomes_an_offer() -> None:
    offer = apply_mapping(MAPPING, DOCUMENT)
    assert (offer.item, offer.price_minor, offer.currency, offer.shop) == (
        "CD Madonna",
        1990,
        "EUR",
        "Boxman",
    )
    assert offer.text == "Boxman: CD Madonna 19,90€"
    assert offer.recipients == ("+33612345678",)
    assert (offer.quantity_max, offer.stock, offer.external_id) == (5, 12, "820982911946154508")
    assert offer.fields == {"name": "Ann"}
    assert offer.audience is None


@pytest.mark.parametrize(
    ("price", "currency", "unit", "minor"),
    [
        ("19.90", "EUR", "major", 1990),
        (19.9, "EUR", "major", 1990),
        ("19,90", "EUR", "major", 1990),
        (149, "SEK", "major", 14900),
        (0.1, "EUR", "major", 10),
        (1990, "EUR", "minor", 1990),
        ("1000", "JPY", "major", 1000),
        (1e2, "EUR", "major", 10000),
    ],
)
def test_prices_are_exact(price: Any, currency: str, unit: str, minor: int) -> None:
    offer = apply_mapping(
        MAPPING | {"price_unit": unit}, DOCUMENT | {"total_price": price, "currency": currency}
    )
    assert offer.price_minor == minor


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"line_items": []}, "/line_items/0/title"),
        ({"total_price": None}, "/total_price"),
        ({"total_price": "cheap"}, "/total_price"),
        ({"total_price": "1.999"}, "/total_price"),
        ({"total_price": -1}, "/total_price"),
        ({"total_price": True}, "/total_price"),
        ({"customer": {}}, "/customer/phone"),
        ({"customer": {"phone": {}}}, "/customer/phone"),
        ({"stock": "many"}, "/stock"),
        ({"line_items": [{"title": ["a"]}]}, "/line_items/0/title"),
        ({"line_items": {"0": 1}}, "/line_items/0/title"),
        ({"total_price": 1e308}, "/total_price"),
        ({"total_price": "9" * 400}, "/total_price"),
    ],
)
def test_a_document_that_does_not_fit_is_refused_where_it_does_not(
    change: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(Invalid) as caught:
        apply_mapping(MAPPING, DOCUMENT | change)
    assert (caught.value.code, caught.value.pointer) == ("trigger_unmapped", pointer)


def test_unknown_currency_is_refused() -> None:
    with pytest.raises(Invalid):
        apply_mapping(MAPPING, DOCUMENT | {"currency": "XXX"})


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"item": "$.a[*]"}, "/item"),
        ({"item": "$..a"}, "/item"),
        ({"item": "$.a[-1]"}, "/item"),
        ({"item": "$.a" * 20}, "/item"),
        ({"item": "$" + ".a" * 17}, "/item"),
        ({"item": {"eval": "1+1"}}, "/item"),
        ({"item": ["$"]}, "/item"),
        ({"nonsense": 1}, "/nonsense"),
        ({"audience": "all"}, "/recipients"),
        ({"fields": []}, "/fields"),
        ({"text": {"join": [{"join": []}]}}, "/text"),
        ({"fields": {"a/b": {"x": 1}}}, "/fields/a~1b"),
        ({"item": "$.a?(@.b)"}, "/item"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_when_it_is_stored(
    change: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(Invalid) as caught:
        check_mapping(MAPPING | change)
    assert (caught.value.code, caught.value.pointer) == ("mapping_invalid", pointer)


def test_paths_take_names_indexes_and_quoted_names() -> None:
    assert parse_path('$.a-b[12]["x y"].c_d') == ("a-b", 12, "x y", "c_d")
    assert parse_path("$") == ()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_no_document_gives_anything_but_an_offer_or_a_refusal(document: Any) -> None:
    for candidate in (document, DOCUMENT | {"total_price": document}, DOCUMENT | {"customer": document}):
        with suppress(Invalid):
            assert apply_mapping(MAPPING, candidate).price_minor > 0


def test_what_an_offer_is_made_of_is_told_from_whom_it_is_for() -> None:
    paths = offer_paths(MAPPING)
    assert len(paths) == len(set(paths))
    at_first = values_at(paths, DOCUMENT)
    assert sorted(at_first) == ["12", "19.90", "Ann", "CD Madonna", "EUR"]
    another = DOCUMENT | {"id": 5, "customer": {"phone": "+33612345679", "first_name": "Ann"}}
    assert values_at(paths, another) == at_first
    changes: list[dict[str, Any]] = [
        {"total_price": "19.91"}, {"currency": "SEK"}, {"stock": None}, {"line_items": []},
    ]  # fmt: skip
    for change in changes:
        assert values_at(paths, DOCUMENT | change) != at_first
    assert values_at(paths, []) == [None] * len(paths)


@given(st.data())
def test_documents_that_are_equal_where_a_mapping_looks_make_the_same_offer(data: st.DataObject) -> None:
    values = st.sampled_from([None, "19.90", 19.9, 20, True, "EUR", "CD", [1], {"a": "b"}])
    names = st.sampled_from(["a", "b", "c"])
    expressions = st.one_of(
        names.map(lambda name: f"$.{name}"),
        st.builds(lambda name, default: {"path": f"$.{name}", "default": default}, names, values),
        names.map(lambda name: {"join": ["x", f"$.{name}"]}),
        st.sampled_from(["EUR", {"literal": "12.50"}, "CD"]),
    )
    mapping = {
        **{name: data.draw(expressions) for name in ("item", "price", "currency", "shop", "stock")},
        "recipients": "$.to", "external_id": "$.id", "fields": {"x": data.draw(expressions)},
    }  # fmt: skip
    first, second = ({name: data.draw(values) for name in "abc"} | {"to": "+1", "id": n} for n in "12")
    paths = offer_paths(mapping)
    if json.dumps(values_at(paths, first)) == json.dumps(values_at(paths, second)):
        assert _offer(mapping, first) == _offer(mapping, second)


def _offer(mapping: dict[str, Any], document: Any) -> Any:
    try:
        return replace(apply_mapping(mapping, document), external_id=None)
    except DomainError as exc:
        return exc.code, str(exc)
