"""The files in conf/ load, and the example of a carrier shows every key that there is."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Final

import pytest

from smsgate.config import load_settings
from smsgate.links.profile import CarrierProfile
from smsgate.links.profile_senders import SenderNumber
from smsgate.links.profile_session import RebindDelays

CONF: Final = Path(__file__).parents[3] / "conf"
KEY: Final = re.compile(r"^#?([a-z][a-z0-9_]*) = ", re.MULTILINE)


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """Return a directory for copies of mode 0600: a file that holds a password must not be open to others."""
    return tmp_path


def loaded(name: str, private: Path) -> Path:
    copy = private / Path(name).name
    shutil.copyfile(CONF / name, copy)
    copy.chmod(0o600)
    return copy


@pytest.mark.parametrize("name", sorted(path.name for path in CONF.glob("*.toml")))
def test_every_file_in_conf_loads(name: str, private: Path) -> None:
    load_settings(loaded(name, private), {})


CARRIERS: Final = sorted(path.name for path in (CONF / "carriers").glob("*.toml"))


@pytest.mark.parametrize("name", CARRIERS)
def test_every_example_of_a_carriers_habit_loads_and_says_what_it_shows(name: str, private: Path) -> None:
    settings = load_settings(loaded(f"carriers/{name}", private), {})
    assert settings.carriers
    assert all(carrier.senders for carrier in settings.carriers)
    assert (CONF / "carriers" / name).read_text(encoding="utf-8").startswith("# ")


def test_the_examples_together_show_every_habit_that_has_a_key(private: Path) -> None:
    """Keys that no example sets are those that every carrier has; all of them stand in the great example."""
    shown: set[str] = set()
    for name in CARRIERS:
        for carrier in load_settings(loaded(f"carriers/{name}", private), {}).carriers:
            shown |= carrier.model_fields_set
    assert shown >= {
        *("hosts_use", "host_return_s", "binds", "bind", "interface_version", "missing_version_is_old"),
        *("tls", "ca_file", "cert_file", "password_max", "system_type", "enquire_interval_s", "window_max"),
        *("rate_per_s", "rate_control", "throttle_statuses", "mo_busy_status", "default_alphabet"),
        *(
            "gsm_data_coding",
            "short_code_ton_npi",
            "validity",
            "receipts",
            "tlvs_out",
            "message_tlvs",
            "senders",
            "query",
        ),
        *("max_messages_per_bind", "rebind_overlap", "unreachable_statuses", "packed", "shift"),
        *("id_resp", "id_receipt"),
    }


def test_the_container_listens_everywhere_and_keeps_its_state_in_the_volume(private: Path) -> None:
    settings = load_settings(loaded("container.toml", private), {})
    http = settings.http
    assert (settings.node.state_dir, http.host) == (Path("/var/lib/smsgate"), "0.0.0.0")
    assert http.port == http.health_port == 8080  # whatever its roles, the image's health check asks there


def test_the_example_of_a_carrier_shows_every_key() -> None:
    shown = set(KEY.findall((CONF / "carrier-example.toml").read_text(encoding="utf-8")))
    tables = {"senders", "rebind"}
    expected = {*CarrierProfile.model_fields, *SenderNumber.model_fields, *RebindDelays.model_fields} - tables
    assert shown == expected
