"""`smsgate wap-push`: octets for whoever has to look at them."""

from __future__ import annotations

from tests.cli.command_shell import Shell


def test_a_loading_is_one_line_of_octets(shell: Shell) -> None:
    found = shell.ok("wap-push", "sl", "http://x.example", "--action", "execute-low")
    assert found.out == "0605040b8423f0010601b002066a00850903782e6578616d706c65000501\n"


def test_an_indication_says_how_its_parts_are_sent(shell: Shell) -> None:
    found = shell.ok(
        *("wap-push", "si", "http://www.xyz.com/email/123/abc.wml", "You have 4 new emails" + "!" * 80),
        *("--created", "1999-06-25T15:23:15Z", "--expires", "2099-06-30", "--reference", "7", "--json"),
    )
    answer = found.json()
    assert (answer["data_coding"], answer["esm_class"], answer["segments"]) == (4, 64, 2)
    first, second = answer["short_messages"]
    assert first.startswith("0b05040b8423f00003070201" + "010601ae02056a0045c60d0378797a0085")
    assert "0ac30719990625152315" + "10c30420990630" + "01" in first
    assert second.startswith("0b05040b8423f00003070202")
    assert second.endswith("21000101")


def test_an_indication_that_deletes_nothing_is_refused_in_a_sentence(shell: Shell) -> None:
    found = shell.run("wap-push", "si", "http://a.example", "Sale", "--action", "delete")
    assert (found.code, found.out) == (1, "")
    assert found.err == "smsgate: An indication that deletes another needs its si_id.\n"
