"""Profiles: one per quirk, seeded, replayable, and no two that contradict each other by accident."""

from __future__ import annotations

import pytest

from smsgate.errors import ConfigError
from smsgate.simulator.faults import NO_FAULTS, Faults
from smsgate.simulator.profiles import PROFILES, find_profile, with_profiles
from smsgate.simulator.smsc_settings import SmscSettings
from tests.simulator.virtual_time import Script, one_run

DRAWN = {"ids-lost", "receipt-for-refused", "errors-with-body", "vendor-status", "no-answer", "late-answers"}


HURRY = Script(messages=250, every_s=0.002)
# What an ESME has to do before it notices.
PROVOKING = {
    "messages-per-bind": HURRY,
    "throttle-30": HURRY,
    "throttle-unannounced": HURRY,
    "queue-full": HURRY,
    "version-3.4-only": Script(version=0x50),
    "alphanumeric-ton": Script(sender=b"BOXMAN"),
    "refuses-validity": Script(fields={"validity_period": b"261127123456000+"}),
    "refuses-udh": Script(fields={"esm_class": 0x40, "short_message": b"\5\0\3\1\2\1Bonjour"}),
}
# What no write to a connection in memory shows: time alone, what phones see, TLS.
UNSEEN = {
    "slow-answers",
    "udh-stripped",
    "mo-lost-on-0x64",
    *(name for name in PROFILES if name[:3] == "tls"),
}


def settings_of(name: str) -> SmscSettings:
    return with_profiles(SmscSettings(), [find_profile(name)])


@pytest.mark.parametrize("name", PROFILES)
def test_the_same_seed_replays_the_same_octets(name: str) -> None:
    first, again = one_run(settings_of(name), 7), one_run(settings_of(name), 7)
    assert sum(map(len, first)) > 1
    assert first == again


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_another_seed_draws_other_faults(name: str) -> None:
    assert one_run(settings_of(name), 7) != one_run(settings_of(name), 8)


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_has_switches_that_can_work_and_says_where_it_was_seen(name: str) -> None:
    profile = PROFILES[name]
    settings_of(name).check()
    assert profile.switches
    assert profile.sentence.endswith(".")
    assert profile.evidence
    assert profile.client


@pytest.mark.parametrize("name", [name for name in PROFILES if name not in UNSEEN])
def test_every_profile_does_something_else_than_a_good_smsc(name: str) -> None:
    script = PROVOKING.get(name, Script())
    assert one_run(settings_of(name), 7, script) != one_run(SmscSettings(), 7, script)


def test_profiles_combine_and_refuse_to_contradict_each_other() -> None:
    both = with_profiles(SmscSettings(), [find_profile("ids-with-dashes"), find_profile("receipt-data-sm")])
    assert both.message_id_form == "dashes"
    assert both.faults.receipt_place == "data_sm"
    with pytest.raises(ConfigError, match="ids-with-dashes and ids-empty both set message_id_form"):
        with_profiles(SmscSettings(), [find_profile("ids-with-dashes"), find_profile("ids-empty")])


def test_an_unknown_profile_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        find_profile("ids-hex-in-respons")
    assert "did you mean ids-hex-in-response?" in caught.value.mend


def test_switches_that_are_off_are_not_told() -> None:
    assert NO_FAULTS.switched() == {}
    assert Faults(id_cycle=3, write_octets=1).switched() == {"id_cycle": 3, "write_octets": 1}


@pytest.mark.parametrize(
    ("switches", "names"),
    [
        ({"unanswered_share": 1.5}, "unanswered_share"),
        ({"end": "cut"}, "end"),
        ({"end": "explode", "end_after_s": 1.0}, "end"),
        ({"receipt_copies": 1_000}, "receipt_copies"),
        ({"window_max": 3}, "window_statuses"),
    ],
)
def test_switches_that_cannot_work_are_refused(switches: dict[str, object], names: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Faults(**switches).check()  # type: ignore[arg-type]
    assert caught.value.where == names
