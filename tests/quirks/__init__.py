import pytest

pytest.register_assert_rewrite(  # before they are imported: they say what was wrong
    "tests.quirks.expectations",
    "tests.quirks.cases_flow",
    "tests.quirks.cases_receipts",
    "tests.quirks.cases_sessions",
    "tests.quirks.cases_texts",
)
