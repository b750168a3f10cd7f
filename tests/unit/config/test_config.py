from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smsgate.api.limits import ApiSettings
from smsgate.campaigns.retention import rules
from smsgate.config import Settings, load_configuration, load_settings, settings_of
from smsgate.config.routes import RouteSettings
from smsgate.config.settings import MESSAGES_DAYS_MAX, MESSAGES_DAYS_MIN
from smsgate.errors import ConfigError
from smsgate.flows.housekeeping import Retention
from smsgate.flows.offers import LIFE_MAX
from smsgate.flows.sending_limits import SendingLimits
from smsgate.links.profile import CarrierProfile
from smsgate.links.profile_outbind import OutbindKeys
from smsgate.links.profile_senders import SenderNumber
from smsgate.links.profile_session import RebindDelays
from smsgate.security.addresses import PUBLIC_ONLY
from smsgate.store.gates import LATE_ANSWER_GRACE
from smsgate.webhooks.limits import DeliverySettings

SHIPPED = Path(__file__).parents[3] / "conf" / "smsgate.toml"
CARRIER = """
[[carriers]]
name = "sms-fr"
hosts = ["127.0.0.1:2775"]
system_id = "boxman"
tls = "none"
insecure_plaintext = true
"""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str) -> Path:
        path = tmp_path / "smsgate.toml"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path

    return to_file


def refusal_of(path: Path, environ: dict[str, str] | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_settings(path, environ or {})
    assert caught.value.where
    assert caught.value.mend
    return caught.value


# ------------------------------------------------------------ the shipped file


def test_the_shipped_file_is_the_defaults_and_says_that_no_carrier_is_there() -> None:
    loaded = load_configuration(SHIPPED, {})
    assert loaded.settings == Settings()
    assert loaded.path == SHIPPED
    assert len(loaded.warnings) == 1
    assert "[[carriers]]" in loaded.warnings[0]


def test_the_defaults_are_those_of_the_parts_themselves() -> None:
    settings = Settings()
    assert settings.http.api() == ApiSettings()
    assert settings.sending.limits() == SendingLimits()
    assert settings.webhooks.delivery() == DeliverySettings()
    assert settings.webhooks.policy() == PUBLIC_ONLY
    assert settings.retention.kept() == Retention()
    assert settings.database.dsns() is None


def uncommented() -> str:
    return re.sub(r"^#(?=[^ \n#])", "", SHIPPED.read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_every_example_of_the_shipped_file_loads_when_uncommented(write: Write) -> None:
    settings = load_settings(write(uncommented()), {})
    assert settings.database.dsns() is not None
    (carrier,) = settings.carriers
    least = CarrierProfile(
        name="sms-fr",
        hosts=("smpp.example.com:3550",),
        system_id="boxman",
        password="changeit",
    )
    shown = {"senders", "cost_list", "ca_file", "cert_file", "key_file", "max_messages_per_bind"}
    shown |= OutbindKeys.model_fields.keys()
    assert carrier.model_dump(exclude=shown) == least.model_dump(exclude=shown)


def test_the_shipped_file_shows_every_key_there_is() -> None:
    shown = tomllib.loads(uncommented())
    for name, field in Settings.model_fields.items():
        if name not in {"carriers", "routes"}:
            assert set(shown[name]) == set(field.annotation.model_fields), name  # type: ignore[union-attr]
    (carrier,) = shown["carriers"]
    assert set(carrier) == set(CarrierProfile.model_fields)
    assert set(carrier["senders"][0]) == set(SenderNumber.model_fields)
    assert set(carrier["rebind"]) == set(RebindDelays.model_fields)
    (route,) = shown["routes"]
    assert set(route) == set(RouteSettings.model_fields)


# ------------------------------------------------------------ where it is found


def test_the_named_file_wins_over_the_environment_and_that_over_the_usual_place(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_configuration(None, {}).path is None
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "smsgate.toml").write_text("[http]\nport = 1\n")
    by_environment = tmp_path / "other.toml"
    by_environment.write_text("[http]\nport = 2\n")
    environ = {"SMSGATE_CONFIG": str(by_environment)}
    assert load_settings(None, {}).http.port == 1
    assert load_settings(None, environ).http.port == 2
    assert load_settings(write("[http]\nport = 3\n"), environ).http.port == 3


def test_environment_variables_win_over_the_file(write: Write) -> None:
    environ = {
        "SMSGATE_STATE_DIR": "/data",
        "SMSGATE_HTTP_PORT": "9090",
        "SMSGATE_HTTP_HEALTH_PORT": "9091",
        "SMSGATE_LOG_LEVEL": "debug",
        "SMSGATE_DATABASE_DSN": "postgresql://localhost/smsgate",
    }
    settings = load_settings(write("[http]\nport = 3\n"), environ)
    assert settings.node.state_dir == Path("/data")
    assert (settings.http.port, settings.http.health_port) == (9090, 9091)
    assert settings.log.level == "debug"
    dsns = settings.database.dsns()
    assert dsns is not None
    assert dsns.control == dsns.data == "postgresql://localhost/smsgate"


def test_a_variable_that_cannot_work_is_told_by_its_key(write: Write) -> None:
    assert refusal_of(write("# nothing"), {"SMSGATE_HTTP_PORT": "many"}).where == "http.port"


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "--config" in refusal_of(tmp_path / "none.toml").mend


@pytest.mark.parametrize("octets", [b"", b"\n \r\n"])
def test_an_empty_file_is_no_configuration(octets: bytes, tmp_path: Path) -> None:
    path = tmp_path / "smsgate.toml"
    path.write_bytes(octets)
    assert str(refusal_of(path)) == "the configuration is empty"


def test_a_file_of_comments_means_the_defaults(write: Write) -> None:
    assert load_settings(write("# all as it comes\n"), {}) == load_settings(SHIPPED, {})


@pytest.mark.parametrize("octets", [b"[http\nport = 1", b"\xff\xfe", b"[http]\nport = 1\nport = 2"])
def test_what_is_not_toml_is_told_with_its_place(octets: bytes, tmp_path: Path) -> None:
    path = tmp_path / "smsgate.toml"
    path.write_bytes(octets)
    assert refusal_of(path).where == str(path)


# ------------------------------------------------------------ wrong keys and values


@pytest.mark.parametrize(
    ("text", "where", "mend"),
    [
        ("[http]\nprt = 1", "http.prt", "did you mean port? known keys are"),
        ("[htp]\nport = 1", "htp", "did you mean http?"),
        ("port = 1", "port", "known keys are"),
        ("[http]\nport = 70000", "http.port", "0 to 65535"),
        ("[http]\nport = true", "http.port", "0 to 65535"),
        ('[http]\nport = "8080"', "http.port", "0 to 65535"),
        ('[http]\nmetrics_public = "yes"', "http.metrics_public", "true:"),
        ("[http]\nhealth_port = -1", "http.health_port", "0 to 65535"),
        ('[http]\nhost = ""', "http.host", "an address of this machine"),
        ("http = 3", "http", "the table [http]"),
        ('[http]\ntrusted_proxies = ["10.0.0.0/33"]', "http.trusted_proxies", "10.0.0.0/8"),
        ("[http]\ntrusted_proxies = 1", "http.trusted_proxies", "10.0.0.0/8"),
        ('[node]\nroles = ["api", "sender"]', "node.roles.1", '"api", "gateway" and "webhooks"'),
        ("[node]\nroles = []", "node.roles", '"api", "gateway" and "webhooks"'),
        ('[log]\nlevel = "loud"', "log.level", '"debug", "info"'),
        ("[sending]\nin_doubt_max = 1", "sending.in_doubt_max", "100 to 100000"),
        ("[sending]\npoll_s = nan", "sending.poll_s", "seconds"),
        ("[webhooks]\nports = [0]", "webhooks.ports.0", "ports besides 443"),
        ('[webhooks]\nallow_networks = ["10.1.2.3/8"]', "webhooks.allow_networks", "127.0.0.0/8"),
        ("[retention]\nmessages_days = 369", "retention.messages_days", "370 to 4000"),
        ('[database]\ndsn = "mysql://x"', "database.dsn", "postgresql://"),
        ('[database]\ndsn = "postgresql://db.example.com/x"', "database.dsn", "sslmode=verify-full"),
        ('[database]\ncontrol_dsn = "postgresql://localhost/x"', "database.dsn", "set database.dsn"),
        ('[database]\nname = "My base"', "database.name", "lower-case letters"),
        ("carriers = 1", "carriers", "[[carriers]]"),
        ("carriers = [1]", "carriers.0", "[[carriers]]"),
        (CARRIER, "carriers.sms-fr.password_file", "set one of"),
        (CARRIER + 'password = "x"\npassword_env = "Y"', "carriers.sms-fr.password_file", "set one of"),
        (CARRIER + 'password_env = "NOT_SET"', "carriers.sms-fr.password_env", "set it"),
        (CARRIER + 'password_file = "/nonexistent/x"', "carriers.sms-fr.password_file", "readable"),
        (CARRIER + "password_file = 7", "carriers.sms-fr.password_file", "path"),
        (CARRIER + 'password = "secret"\nwindow = 5', "carriers.sms-fr.window", "did you mean window_max?"),
        (CARRIER + 'password = "secret"\nwindow_max = 0', "carriers.sms-fr.window_max", "unanswered submits"),
        (CARRIER + 'password = "muchtoolong"', "carriers.sms-fr.password", "password_max = 11"),
        ((CARRIER + 'password = "secret"') * 2, "carriers.sms-fr.name", "name it otherwise"),
    ],
)
def test_a_mistake_names_its_key_and_the_mend(text: str, where: str, mend: str, write: Write) -> None:
    error = refusal_of(write(text))
    assert error.where == where
    assert mend in error.mend
    assert where in str(error) or error.where.startswith(("carriers", "database"))


def test_one_sender_receives_at_one_carrier(write: Write) -> None:
    sender = 'password = "secret"\n[[carriers.senders]]\nnumber = "38123"\nreceives = true\n'
    text = CARRIER + sender + CARRIER.replace("sms-fr", "sms-de") + sender
    assert refusal_of(write(text)).where == "carriers.sms-de.senders"
    second = text.rfind("receives = true")
    assert len(load_settings(write(text[:second] + "receives = false\n"), {}).carriers) == 2


ROUTE = CARRIER + 'password = "secret"\n[[carriers.senders]]\nnumber = "38123"\n[[routes]]\nname = "fr"\n'


@pytest.mark.parametrize(
    ("keys", "where", "mend"),
    [
        ('carriers = ["sms-de"]', "routes.fr.carriers", "those that are configured: sms-fr"),
        ("", "routes.fr.carriers", "set refuse = true"),
        ('carriers = ["sms-fr"]\nsenders = ["99"]', "routes.fr.senders", "add an entry for 99"),
        ('carriers = ["sms-fr"]\nchoose = "least_cost"', "routes.fr.carriers", "set cost_list of sms-fr"),
        ('carriers = ["sms-fr"]\nprefix = "33"', "routes.0", "did you mean prefixes?"),
        ('carriers = ["sms-fr"]\nprefixes = ["+33"]', "routes.0.0", "leading digits of the recipient"),
        ('carriers = ["sms-fr"]\nmax_cost = "4 cent"', "routes.0", "what a segment may cost at most"),
        ('carriers = [{carrier = "sms-fr", wait = 1}]', "routes.0.0", "did you mean weight?"),
        (
            'carriers = ["sms-fr"]\n[[routes]]\nname = "all"\nrefuse = true',
            "routes.all.name",
            "join the two, or give all another condition",
        ),
    ],
)
def test_a_route_that_cannot_work_is_told_with_its_mend(
    keys: str, where: str, mend: str, write: Write
) -> None:
    error = refusal_of(write(ROUTE + keys))
    assert (error.where, mend in error.mend) == (where, True), (error.where, error.mend)


def test_plain_names_of_a_routes_carriers_are_an_order_of_preference(write: Write) -> None:
    second = CARRIER.replace("sms-fr", "sms-de") + 'password = "s"\n[[carriers.senders]]\nnumber = "38123"\n'
    settings = load_settings(write(second + ROUTE + 'carriers = ["sms-de", "sms-fr"]'), {})
    assert [(c.carrier, c.priority, c.weight) for c in settings.routes[0].carriers] == [
        ("sms-de", 1, 1),
        ("sms-fr", 2, 1),
    ]


def test_messages_are_kept_longer_than_any_offer_lives() -> None:
    for_receipts = timedelta(days=3)
    assert timedelta(days=MESSAGES_DAYS_MIN) > LIFE_MAX + LATE_ANSWER_GRACE + for_receipts
    kept = settings_of({"retention": {"messages_days": MESSAGES_DAYS_MIN}}).retention.kept()
    assert kept.messages_days == MESSAGES_DAYS_MIN


def test_chunks_by_which_messages_are_found_stay_as_long_as_the_last_of_them() -> None:
    """They go by when their campaign was made, whose last message may be of its last day."""
    for messages_days in range(MESSAGES_DAYS_MIN, MESSAGES_DAYS_MAX + 1):
        retention = Retention(messages_days=messages_days)
        message, chunk = (retention.days_of(rules()[rule]) for rule in ("message", "campaign_chunk"))
        assert message == messages_days
        assert chunk is not None
        assert timedelta(days=chunk - messages_days) >= LIFE_MAX


# ------------------------------------------------------------ secrets


def test_a_password_comes_from_a_file_or_the_environment_without_a_warning(
    write: Write, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    from_file = load_configuration(write(CARRIER + f'password_file = "{secret}"'), {})
    from_environment = load_configuration(write(CARRIER + 'password_env = "PW"'), {"PW": "s3cret"})
    for loaded in (from_file, from_environment):
        assert loaded.settings.carriers[0].password.get_secret_value() == "s3cret"
        assert loaded.warnings == ()


def test_the_password_of_an_outbind_comes_from_a_file_or_the_environment_as_well(
    write: Write, tmp_path: Path
) -> None:
    secret = tmp_path / "theirs"
    secret.write_text("th3irs\n")
    keys = (
        'password_env = "PW"\noutbind_port = 2776\n'
        'outbind_from = ["192.0.2.16/28"]\noutbind_system_id = "smsc"\n'
    )
    for line in (f'outbind_password_file = "{secret}"', 'outbind_password_env = "THEIRS"'):
        loaded = load_configuration(write(CARRIER + keys + line), {"PW": "s3cret", "THEIRS": "th3irs"})
        password = loaded.settings.carriers[0].outbind_password
        assert password is not None
        assert (password.get_secret_value(), loaded.warnings) == ("th3irs", ())
    error = refusal_of(
        write(CARRIER + keys.replace('_env = "PW"', ' = "s3cret"') + 'outbind_password_env = "NOT_SET"')
    )
    assert error.where == "carriers.sms-fr.outbind_password_env"
    assert "outbind_password_file" in error.mend
    lacking = refusal_of(write(CARRIER + keys.replace('_env = "PW"', ' = "s3cret"')))
    assert lacking.where == "carriers.sms-fr.outbind_password"


def test_a_password_in_plain_warns_and_more_so_when_others_may_read_it(write: Write) -> None:
    path = write(CARRIER + 'password = "s3cret"')
    (warning,) = load_configuration(path, {}).warnings
    assert "password_file" in warning
    path.chmod(0o644)
    assert any("chmod 0600" in warning for warning in load_configuration(path, {}).warnings)


@pytest.mark.parametrize(
    "text",
    [
        CARRIER + 'password = "s3cretAndTooLong"',
        CARRIER + 'password = ["s3cretAndTooLong"]',
        '[database]\ndsn = "postgresql://u:s3cretAndTooLong@db.example.com/x"',
        '[database]\ndsn = ["s3cretAndTooLong"]',
    ],
)
def test_no_error_repeats_a_secret(text: str, write: Write) -> None:
    error = refusal_of(write(text))
    assert "s3cret" not in f"{error} {error.where} {error.mend}"


@pytest.mark.parametrize("content", ["", "\n", "two\nlines", "x" * 5_000])
def test_a_password_file_is_one_line(content: str, write: Write, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text(content)
    assert refusal_of(write(CARRIER + f'password_file = "{secret}"')).where == "carriers.sms-fr.password_file"


def test_settings_do_not_show_secrets() -> None:
    settings = settings_of({"database": {"dsn": "postgresql://u:s3cret@localhost/x"}})
    assert "s3cret" not in repr(settings)


# ------------------------------------------------------------ what it warns of


@pytest.mark.parametrize(
    ("host", "warned"), [("0.0.0.0", True), ("::1", False), ("localhost", False), ("10.0.0.1", True)]
)
def test_an_api_that_is_open_to_the_network_is_told(host: str, warned: bool, write: Write) -> None:
    loaded = load_configuration(write(f'[http]\nhost = "{host}"'), {})
    assert any("TLS" in warning for warning in loaded.warnings) is warned


def test_development_on_one_machine_opens_loopback_in_so_many_words(write: Write) -> None:
    text = (
        '[webhooks]\nallow_http = true\nallow_networks = ["127.0.0.0/8"]\nany_port = true\nports = [9443]\n'
    )
    policy = load_settings(write(text), {}).webhooks.policy()
    assert policy.allow_http
    assert policy.ports is None
    only = settings_of({"webhooks": {"ports": [9443]}}).webhooks.policy()
    assert sorted(only.ports or ()) == [443, 8443, 9443]


def test_every_key_has_a_sentence_for_its_mend() -> None:
    def missing(model: Any, path: str) -> list[str]:
        found = []
        for name, field in model.model_fields.items():
            if not field.description:
                found.append(f"{path}{name}")
            if hasattr(field.annotation, "model_fields"):
                found += missing(field.annotation, f"{path}{name}.")
        return found

    assert missing(Settings, "") == []
