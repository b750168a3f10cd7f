"""Two requests share a fingerprint when they are the same request."""

from __future__ import annotations

from smsgate.security.request_fingerprint import fingerprint


def test_the_same_request_has_the_same_fingerprint() -> None:
    first = fingerprint("POST", "/v1/offers", b"{}")
    assert first == fingerprint("post", "/v1/offers", b"{}")
    assert len(first) == 32


def test_a_change_of_any_part_changes_it_and_parts_do_not_flow_into_each_other() -> None:
    requests = [
        ("POST", "/v1/offers", b"{}"),
        ("PUT", "/v1/offers", b"{}"),
        ("POST", "/v1/offers?a=1", b"{}"),
        ("POST", "/v1/offers", b"{ }"),
        ("POST", "/v1/offers{}", b""),
        ("POST/v1", "/offers", b"{}"),
    ]
    assert len({fingerprint(*request) for request in requests}) == len(requests)
