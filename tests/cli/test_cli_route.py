"""`smsgate route explain`: which rule decides for a number, and what it would cost."""

from __future__ import annotations

import pytest

from tests.cli.carriers import write_config
from tests.cli.command_shell import Shell

OTHER = """
[[carriers]]
name = "dear"
hosts = ["127.0.0.1:1"]
system_id = "smsgate"
password = "secret"
tls = "none"
insecure_plaintext = true
cost_list = "dear-cost"
senders = [{ number = "36111" }]

[[routes]]
name = "orange"
networks = ["20801"]
carriers = [{ carrier = "dear", weight = 3 }, { carrier = "sim" }]

[[routes]]
name = "capped"
networks = ["20810"]
carriers = ["dear"]
max_cost = "0.01"

[[routes]]
name = "nobody"
prefixes = ["4477"]
refuse = true
"""
ORANGE, SFR, BOUYGUES, BRITISH = "+33607123456", "+33612345678", "+33660123456", "+447700900123"
ASKED = ("--merchant", "boxman", "--sender", "36111")


@pytest.fixture(scope="module")
def routed(shell: Shell) -> Shell:
    path = write_config(shell.cwd / "routes.toml", smpp="127.0.0.1:1", more=OTHER)
    shell.extra["SMSGATE_CONFIG"] = str(path)
    prices = "direction,network,unit_price\nmt,*,0.0450\n"
    shell.ok("billing", "publish", "dear-cost", "-", "--yes", "--side", "cost", stdin=prices)
    shell.ok("merchant", "add", "boxman", "--name", "Boxman", "--country", "FR", "--contact", "bxm.fr")
    return shell


def test_the_rule_and_its_carriers_are_named_with_share_and_cost(routed: Shell) -> None:
    found = routed.ok("route", "explain", ORANGE, *ASKED, "--json").json()
    assert (found["network"], found["rule"], found["refused"]) == ("20801", "orange", None)
    assert found["why"] == "the most special rule that holds: network 20801"
    told = [
        (row["carrier"], row["place"], row["share"], row["cost"], row["state"]) for row in found["carriers"]
    ]
    assert told == [("dear", 1, 0.75, "0.045", "unknown"), ("sim", 1, 0.25, None, "unknown")]
    text = routed.ok("route", "explain", ORANGE.removeprefix("+"), *ASKED).out
    assert "Rule orange decides" in text
    assert "0.045 EUR" in text


def test_without_a_rule_the_owner_of_the_sender_takes_it(routed: Shell) -> None:
    found = routed.ok("route", "explain", BOUYGUES, *ASKED, "--json").json()
    assert found["rule"] is None
    assert [row["carrier"] for row in found["carriers"]] == ["sim"]


@pytest.mark.parametrize(
    ("number", "rule", "reason"), [(SFR, "capped", "route_too_dear"), (BRITISH, "nobody", "route_refused")]
)
def test_a_message_that_nobody_takes_ends_with_1(routed: Shell, number: str, rule: str, reason: str) -> None:
    done = routed.run("route", "explain", number, *ASKED, "--json")
    assert (done.code, done.json()["rule"], done.json()["refused"]) == (1, rule, reason)


def test_what_cannot_be_asked_is_told(routed: Shell) -> None:
    strange = routed.run("route", "explain", ORANGE, "--merchant", "boxman", "--sender", "99")
    assert (strange.code, strange.err) == (
        2,
        "smsgate: No carrier has the sender 99: the configuration knows 36111.\n",
    )
    assert routed.run("route", "explain", ORANGE, "--merchant", "x", "--sender", "36111").code == 1
    assert routed.run("route", "explain", "12", *ASKED).code != 0


def test_check_names_the_routes(routed: Shell) -> None:
    checks = {row["name"]: row for row in routed.run("check", "--no-bind", "--json").json()["checks"]}
    assert checks["routes"]["detail"] == "orange, capped, nobody"
