from __future__ import annotations

import pytest

from smsgate.store import distribution
from smsgate.store.distribution import Table


def test_the_shipped_manifest_is_read_whole() -> None:
    tables = distribution.load()
    assert tables["message"] == Table("message", "distributed", "merchant_id", "message_id")
    assert tables["node"] == Table("node", "local", None, None)
    assert {table.name for table in distribution.partitioned(tables)} == {
        "message",
        "sent",
        "receipt",
        "event",
        "esme_message",
    }


@pytest.mark.parametrize(
    "entry",
    [
        'kind = "sharded"',
        'kind = "distributed"',
        'kind = "local"\nkey = "a"',
        'kind = "local"\npartitioned = "day"',
        'kind = "local"\npartitioned = "month"\nid = "a"',
        'kind = "local"\ncolour = "red"',
    ],
)
def test_a_table_that_makes_no_sense_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r"^t: "):
        distribution.parse(f"[t]\n{entry}\n")
