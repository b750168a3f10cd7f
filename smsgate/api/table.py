"""All routes and all problem types: one line for each module of routes."""

from __future__ import annotations

from typing import Final

from smsgate.api import (
    health,
    routes_budget,
    routes_campaigns,
    routes_carriers,
    routes_commitments,
    routes_drafts,
    routes_esmes,
    routes_events,
    routes_explanations,
    routes_fec,
    routes_imports,
    routes_inbox,
    routes_invoice_lines,
    routes_invoices,
    routes_keywords,
    routes_margins,
    routes_messages,
    routes_offer_changes,
    routes_offers,
    routes_operator,
    routes_orders,
    routes_payouts,
    routes_phones,
    routes_policies,
    routes_prices,
    routes_privacy,
    routes_reconciliations,
    routes_subscribers,
    routes_triggers,
    routes_usage,
    routes_usage_records,
    routes_webhooks,
)
from smsgate.api.problems import COMMON, ProblemType
from smsgate.api.routing import Route

_MODULES: Final = (
    health,
    routes_operator,
    routes_carriers,
    routes_commitments,
    routes_drafts,
    routes_esmes,
    routes_fec,
    routes_prices,
    routes_subscribers,
    routes_keywords,
    routes_imports,
    routes_invoice_lines,
    routes_invoices,
    routes_privacy,
    routes_offer_changes,
    routes_offers,
    routes_campaigns,
    routes_messages,
    routes_inbox,
    routes_policies,
    routes_orders,
    routes_payouts,
    routes_phones,
    routes_events,
    routes_webhooks,
    routes_triggers,
    routes_usage,
    routes_explanations,
    routes_reconciliations,
    routes_margins,
    routes_usage_records,
    routes_budget,
)

ROUTES: Final[tuple[Route, ...]] = tuple(route for module in _MODULES for route in module.ROUTES)
PROBLEMS: Final[tuple[ProblemType, ...]] = (
    *COMMON,
    *(problem for module in _MODULES for problem in module.PROBLEMS),
)
