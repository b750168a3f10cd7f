"""Marketing to one's own customers without consent: the soft opt-in. Source: law/similar_products.toml."""

from __future__ import annotations

from datetime import date

from smsgate.campaigns.orders import OrderState
from smsgate.campaigns.tables import table
from smsgate.errors import Invalid

# A sale that came to nothing makes nobody a customer.
SOLD = frozenset({OrderState.PLACED, OrderState.CONFIRMED, OrderState.FULFILLED})


def check_country(country: str, on: date) -> None:
    """
    Refuse a person whose country does not know this basis.

    Raises:
        Invalid: code `basis_not_allowed`.
    """
    rules = table("law", "similar_products.toml")["rule"]
    if not any(country in rule["countries"] and rule["from"] <= on for rule in rules):
        raise Invalid(
            f"in {country or 'the country of this number'} only a consent allows marketing by SMS",
            code="basis_not_allowed",
            pointer="/similar_products",
        )
