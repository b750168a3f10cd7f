"""Every class of address that an outgoing request must not reach, as literal and as answer."""

from __future__ import annotations

import ipaddress
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.errors import AddressRefused, ConfigError
from smsgate.security.addresses import (
    DENIED,
    PUBLIC_ONLY,
    AddressPolicy,
    ParsedTarget,
    check_address,
    check_url,
)

LOOPBACK = AddressPolicy.of(allow=["127.0.0.0/8", "::1/128"], extra_ports=None, allow_http=True)

INNER_4 = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.175.48.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
]
INNER_6 = [
    "::",
    "::1",
    "64:ff9b:1::1",
    "64:ff9b:1:ffff::8.8.8.8",
    "100::1",
    "100:0:0:1::1",
    "2001::1",
    "2001:2::1",
    "2001:20::1",
    "2001:db8::1",
    "2620:4f:8000::1",
    "3ffe::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "1::1",
    "e000::1",
]
OUTER = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.1",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4007:80e::200e",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2003::1",
]


def forms_that_carry(inner: str) -> dict[str, str]:
    """Return an IPv6 address of every form that holds this IPv4 address."""
    v4 = int(ipaddress.IPv4Address(inner))
    high = {
        "mapped": "::ffff:0:0",
        "compatible": "::",
        "translated": "::ffff:0:0:0",
        "NAT64": "64:ff9b::",
        "local NAT64": "64:ff9b:1::",
        "ISATAP": "2a00:1450:4007:80e:0:5efe::",
        "ISATAP with u": "2a00:1450:4007:80e:200:5efe::",
    }
    forms = {
        name: str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(base)) | v4)) for name, base in high.items()
    }
    forms["6to4"] = str(ipaddress.IPv6Address((0x2002 << 112) | (v4 << 80) | 1))
    forms["Teredo client"] = str(
        ipaddress.IPv6Address((0x20010000 << 96) | (0x08080808 << 64) | (v4 ^ 0xFFFFFFFF))
    )
    forms["Teredo server"] = str(ipaddress.IPv6Address((0x20010000 << 96) | (v4 << 64) | 0xF7F7F7F7))
    return forms


def literal(address: str) -> str:
    return f"https://[{address}]/" if ":" in address else f"https://{address}/"


@pytest.mark.parametrize("address", INNER_4 + INNER_6)
def test_an_inner_address_is_refused_as_answer_as_octets_and_as_literal(address: str) -> None:
    with pytest.raises(AddressRefused):
        check_address(address)
    if "%" not in address:
        with pytest.raises(AddressRefused):
            check_address(ipaddress.ip_address(address).packed)
    with pytest.raises(AddressRefused):
        check_url(literal(address))


@pytest.mark.parametrize("inner", INNER_4)
def test_an_inner_ipv4_address_is_found_in_every_form_that_carries_it(inner: str) -> None:
    for form in forms_that_carry(inner).values():
        with pytest.raises(AddressRefused):
            check_address(form)
        with pytest.raises(AddressRefused):
            check_address(ipaddress.ip_address(form).packed)
        with pytest.raises(AddressRefused):
            check_url(literal(form))


@pytest.mark.parametrize("address", OUTER)
def test_global_unicast_is_allowed_as_answer_and_refused_as_literal(address: str) -> None:
    check_address(address)
    check_address(ipaddress.ip_address(address).packed)
    with pytest.raises(AddressRefused, match="name"):
        check_url(literal(address))


def test_forms_that_stand_for_a_public_ipv4_address_pass_and_tunnels_do_not() -> None:
    forms = forms_that_carry("8.8.8.8")
    for name in ("mapped", "NAT64", "ISATAP"):
        check_address(forms.pop(name))
    check_address(forms.pop("ISATAP with u"))
    for form in forms.values():
        with pytest.raises(AddressRefused):
            check_address(form)


def test_both_ends_of_every_denied_range_are_refused_and_the_range_has_its_source() -> None:
    for network, what, source in DENIED:
        assert what
        assert source
        for address in (network[0], network[-1]):
            with pytest.raises(AddressRefused):
                check_address(str(address))


@given(st.integers(0, 2**32 - 1))
def test_we_never_allow_an_ipv4_address_that_the_standard_library_calls_inner(value: int) -> None:
    address = ipaddress.IPv4Address(value)
    try:
        check_address(address.packed)
    except AddressRefused:
        return
    assert address.is_global
    assert not address.is_multicast


@given(st.integers(0, 2**128 - 1) | st.integers(0, 2**125 - 1).map(lambda value: value | (1 << 125)))
def test_we_never_allow_an_ipv6_address_outside_of_global_unicast(value: int) -> None:
    address = ipaddress.IPv6Address(value)
    try:
        check_address(str(address))
    except AddressRefused:
        return
    assert address in ipaddress.IPv6Network("2000::/3")
    assert address.is_global


@pytest.mark.parametrize(
    "address", ["", "127.1", "0x7f.1", "2130706433", "017700000001", "0177.0.0.1", "::1%1", "x", b"", b"123"]
)
def test_what_is_no_plain_address_is_refused(address: str | bytes) -> None:
    with pytest.raises(AddressRefused):
        check_address(address)


def test_the_operators_deny_list_wins_over_all_and_sees_inside_every_form() -> None:
    policy = AddressPolicy.of(extra_deny=["8.8.8.0/24", "2a00::/16"], allow=["8.8.8.0/24"])
    for address in ("8.8.8.8", *forms_that_carry("8.8.8.8").values(), "2a00::1"):
        with pytest.raises(AddressRefused, match="denied by the operator"):
            check_address(address, policy)
    check_address("8.8.4.4", policy)


def test_allow_opens_what_it_names_and_nothing_else() -> None:
    check_address("127.0.0.1", LOOPBACK)
    check_address("::1", LOOPBACK)
    check_address("::ffff:127.0.0.1", LOOPBACK)
    for address in ("10.0.0.1", "::ffff:10.0.0.1", "169.254.169.254", "::2", "2002:7f00:1::1"):
        with pytest.raises(AddressRefused):
            check_address(address, LOOPBACK)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://shop.example/hook", ParsedTarget("https", "shop.example", 443, "/hook", False)),
        ("HTTPS://Shop.Example", ParsedTarget("https", "shop.example", 443, "/", False)),
        (
            "https://shop.example:8443/a?b=c%20d",
            ParsedTarget("https", "shop.example", 8443, "/a?b=c%20d", False),
        ),
        ("https://shop.example?x=1", ParsedTarget("https", "shop.example", 443, "/?x=1", False)),
        ("https://bücher.example/", ParsedTarget("https", "xn--bcher-kva.example", 443, "/", False)),
        ("https://straße.example/", ParsedTarget("https", "xn--strae-oqa.example", 443, "/", False)),
        ("https://xn--bcher-kva.example/", ParsedTarget("https", "xn--bcher-kva.example", 443, "/", False)),
        ("https://r3---sn-1.example/", ParsedTarget("https", "r3---sn-1.example", 443, "/", False)),
        ("https://1.2.3.4.example/", ParsedTarget("https", "1.2.3.4.example", 443, "/", False)),
    ],
)
def test_a_public_url_is_taken_apart(url: str, target: ParsedTarget) -> None:
    assert check_url(url) == target
    assert check_url(target.url) == target


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example/hook",
        "//shop.example/hook",
        "http://shop.example/",
        "ftp://shop.example/",
        "file:///etc/passwd",
        "gopher://shop.example/",
        "javascript:alert(1)",
        "https:shop.example",
        "https:/shop.example",
        "https:///hook",
        " https://shop.example/",
        "https://shop.example/ ",
        "https://shop.example/\r\nHost: x",
        "https://shop.example/\t",
        "https://shop.example/\0",
        "https://shop.example/é",
        "https://shop.example/%zz",
        "https://shop.example/a#b",
        "https://shop.example/#",
        "https://user@shop.example/",
        "https://user:pass@shop.example/",
        "https://shop.example@10.0.0.1/",
        "https://@shop.example/",
        "https://shop.example\\@10.0.0.1/",
        "https://shop.example\\.evil.example/",
        "https://shop.example:80/",
        "https://shop.example:22/",
        "https://shop.example:0/",
        "https://shop.example:65979/",
        "https://shop.example:/",
        "https://shop.example:443:443/",
        "https://shop.example:+443/",
        "https://shop.example:\u0664\u0664\u0663/",
        "https://shop.example./",
        "https://.shop.example/",
        "https://shop..example/",
        "https://-shop.example/",
        "https://shop_1.example/",
        "https://shop%2eexample/",
        "https://shop.example%00.evil.example/",
        "https://" + "a" * 64 + ".example/",
        "https://" + "a." * 130 + "example/",
        "https://" + "é" * 250 + ".example/",
        "https://shop.example/" + "a" * 2048,
        "https://localhost/",
        "https://shop.localhost/",
        "https://metadata.google.internal/",
        "https://printer.local/",
        "https://1.0.0.127.in-addr.arpa/",
        "https://intranet/",
    ],
)
def test_a_url_of_wrong_form_or_inner_name_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused) as refusal:
        check_url(url)
    assert "pass" not in str(refusal.value).replace("password", "")


@pytest.mark.parametrize("user", ["user", "user:pass", "", ":", "shop.example"])
def test_user_information_is_refused_by_its_name(user: str) -> None:
    with pytest.raises(AddressRefused, match="user name"):
        check_url(f"https://{user}@shop.example/")


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "0x7f.1",
        "0X7F.1",
        "0x7f000001",
        "0x",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "127.0.0.01",
        "1.2.3.4.5",
        "shop.example.1",
        "shop.0x1",
        "127\u30020\u30020\u30021",
        "\uff11\uff12\uff17.0.0.1",
        "\u2460\u2461\u2466.0.0.1",
        "[::ffff:127.0.0.1]",
        "[::1",
        "::1",
        "[::1%25lo]",
        "[v1.x]",
        "[]",
    ],
)
@pytest.mark.parametrize("policy", [PUBLIC_ONLY, AddressPolicy.of(allow=["::1/128"])], ids=["public", "open"])
def test_an_odd_literal_is_refused_whatever_the_policy(host: str, policy: AddressPolicy) -> None:
    with pytest.raises(AddressRefused):
        check_url(f"https://{host}/", policy)


def test_a_policy_opens_loopback_plain_http_and_ports_for_a_demo() -> None:
    assert check_url("http://127.0.0.1:8081/hook", LOOPBACK) == ParsedTarget(
        "http", "127.0.0.1", 8081, "/hook", True
    )
    assert check_url("http://[0:0::1]:9/hook", LOOPBACK).url == "http://[::1]:9/hook"
    assert check_url("http://localhost/hook", LOOPBACK) == ParsedTarget(
        "http", "localhost", 80, "/hook", False
    )
    for url in ("http://10.0.0.1/", "http://127.1/", "http://2130706433/", "http://[::ffff:127.0.0.1]/"):
        with pytest.raises(AddressRefused):
            check_url(url, LOOPBACK)


def test_ports_are_added_by_name_and_plain_http_brings_its_own() -> None:
    policy = AddressPolicy.of(extra_ports=[9443], allow_http=True)
    assert check_url("https://shop.example:9443/", policy).port == 9443
    assert check_url("http://shop.example/", policy).port == 80
    for url in ("https://shop.example:9444/", "https://shop.example:80/", "http://shop.example:8080/"):
        with pytest.raises(AddressRefused, match="port"):
            check_url(url, policy)


@pytest.mark.parametrize("network", ["10.0.0.1/8", "x", "", "10.0.0.0/33"])
def test_a_policy_with_a_bad_network_or_port_is_a_configuration_error(network: str) -> None:
    with pytest.raises(ConfigError):
        AddressPolicy.of(allow=[network])
    with pytest.raises(ConfigError):
        AddressPolicy.of(extra_ports=[65_536])


@given(st.text(max_size=60).map(lambda text: "https://" + text))
def test_any_text_is_refused_or_becomes_a_plain_name(url: str) -> None:
    try:
        target = check_url(url)
    except AddressRefused:
        return
    assert target.url.isascii()
    assert not target.literal
    assert "." in target.host
    assert check_url(target.url) == target


@pytest.mark.parametrize("text", ["a", "%", "[", ":", "é", "a.", "-"])
def test_hostile_length_costs_no_time(text: str) -> None:
    started = time.process_time()
    for url in (text * 100_000, "https://" + text * 2_000, "https://a.example/" + text * 2_000):
        with pytest.raises(AddressRefused):
            check_url(url + "\n")
    assert time.process_time() - started < 0.05
