"""A DSN that leaves this machine must verify whom it talks to."""

from __future__ import annotations

import pytest

from smsgate.errors import ConfigError
from smsgate.store.dsn import Dsns


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:p@db.example/smsgate?sslmode=verify-full",
        "postgresql://u:p@a.example:5432,b.example:5432/smsgate?sslmode=verify-full",
        "postgresql://u:p@localhost/smsgate",
        "postgres://u:p@127.0.0.1:5433/smsgate",
        "postgresql://u@[::1]:5432/smsgate",
        "postgresql://u@/smsgate?host=%2Fvar%2Frun%2Fpostgresql",
        "postgresql:///smsgate",
    ],
)
def test_verified_or_local_servers_are_accepted(dsn: str) -> None:
    assert Dsns(dsn).data == dsn


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:p@db.example/smsgate",
        "postgresql://u:p@db.example/smsgate?sslmode=require",
        "postgresql://u:p@db.example/smsgate?sslmode=verify-ca",
        "postgresql://u:p@localhost,db.example/smsgate",
        "postgresql://u:p@10.0.0.5:5432/smsgate?sslmode=prefer",
        "postgresql://u:p@[2001:db8::1]:5432/smsgate",
        "postgresql://u:p@localhost/smsgate?host=db.example",
        "mysql://u:p@localhost/smsgate",
        "localhost:5432/smsgate",
    ],
)
def test_unverified_servers_elsewhere_are_refused(dsn: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Dsns(dsn)
    assert caught.value.mend
    assert ":p@" not in str(caught.value)


def test_the_data_dsn_is_checked_as_well() -> None:
    with pytest.raises(ConfigError) as caught:
        Dsns("postgresql://localhost/a", "postgresql://db.example/a")
    assert caught.value.where == "database.data_dsn"


def test_passwords_do_not_show() -> None:
    assert "secret" not in repr(Dsns("postgresql://u:secret@localhost/smsgate"))


def test_migrations_and_leases_go_to_the_control_server() -> None:
    dsns = Dsns("postgresql://localhost/a", "postgresql://127.0.0.1/b")
    assert dsns.connect_args("sg_owner")["dsn"] == "postgresql://localhost/a"
    assert dsns.connect_args("sg_bulk")["dsn"] == "postgresql://127.0.0.1/b"
    assert "target_session_attrs" not in dsns.connect_args("sg_bulk")


def test_of_several_hosts_the_primary_is_taken() -> None:
    dsns = Dsns("postgresql://a.example,b.example/x?sslmode=verify-full")
    assert dsns.connect_args("sg_api")["target_session_attrs"] == "primary"
