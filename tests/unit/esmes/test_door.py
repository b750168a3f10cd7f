"""However many sockets somebody opens, others find a place at the door."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgate.esmes.door import UNBOUND_MAX, UNBOUND_PER_SOURCE_MAX, Door, Visit, customer_of, network_of


def enter(door: Door, source: str) -> tuple[Visit | None, Visit | None]:
    """Return the newcomer and who had to go for it."""
    newcomer = door.enter(source, lambda: None)
    return newcomer, None if newcomer is None else door.crowded_out()


@pytest.mark.parametrize(
    ("source", "network"),
    [
        ("192.0.2.7", "192.0.2"),
        ("::ffff:192.0.2.9", "192.0.2"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
    ],
)
def test_a_network_is_what_one_customer_of_a_provider_has(source: str, network: str) -> None:
    assert network_of(source) == network


@pytest.mark.parametrize(
    ("source", "customer"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        ("", ""),
    ],
)
def test_whoever_has_a_network_of_ipv6_is_one_customer_and_has_one_share_of_guesses(
    source: str, customer: str
) -> None:
    assert customer_of(source) == customer


def test_one_address_has_a_few_places_and_gets_them_back() -> None:
    door = Door()
    visits = [enter(door, "192.0.2.1")[0] for _ in range(UNBOUND_PER_SOURCE_MAX)]
    assert None not in visits
    assert enter(door, "192.0.2.1") == (None, None)
    assert enter(door, "192.0.2.2")[0] is not None
    assert visits[0] is not None
    door.leave(visits[0])
    assert enter(door, "192.0.2.1")[0] is not None


def test_a_full_door_takes_a_newcomer_in_the_place_of_the_oldest_of_the_crowd() -> None:
    door = Door()
    lone, _ = enter(door, "198.51.100.1")
    crowd = [enter(door, f"192.0.2.{n // 15}")[0] for n in range(UNBOUND_MAX - 1)]
    gone = [enter(door, f"203.0.113.{n % 10}")[1] for n in range(50)]
    assert gone[0] is crowd[0]
    assert {visit.network for visit in gone if visit is not None} == {"192.0.2"}
    assert lone not in gone
    assert len(set(gone)) == 50
    assert len(door) == UNBOUND_MAX


def test_the_crowd_pushes_out_itself() -> None:
    door = Door()
    lone, _ = enter(door, "198.51.100.1")
    for n in range(3 * UNBOUND_MAX):
        _, gone = enter(door, f"192.0.2.{n % 200}")
        assert gone is not lone


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), max_size=3 * UNBOUND_MAX))
def test_the_door_is_never_overfull_and_nobody_goes_while_his_network_has_less_than_its_share(
    arrivals: list[tuple[int, int]],
) -> None:
    door, standing = Door(), dict.fromkeys(range(4), 0)
    for network, host in arrivals:
        newcomer, gone = enter(door, f"192.0.{network}.{host}")
        if newcomer is None:
            continue
        standing[network] += 1
        if gone is not None:
            of = int(gone.network.rpartition(".")[2])
            assert standing[of] > UNBOUND_MAX // len(standing)
            standing[of] -= 1
        assert len(door) == sum(standing.values()) <= UNBOUND_MAX
