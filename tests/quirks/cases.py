"""The table: for each profile what the gateway is told and what it has to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.quirks.cases_flow import FLOW_CASES
from tests.quirks.cases_receipts import RECEIPT_CASES
from tests.quirks.cases_sessions import PDU_CASES, SESSION_CASES
from tests.quirks.cases_texts import MO_CASES, TEXT_CASES
from tests.quirks.scene import Case

CASES: Final[Mapping[str, Case]] = {
    **RECEIPT_CASES,
    **SESSION_CASES,
    **PDU_CASES,
    **FLOW_CASES,
    **MO_CASES,
    **TEXT_CASES,
}
