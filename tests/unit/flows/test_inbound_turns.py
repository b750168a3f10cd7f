"""Two groups of MOs at a time, of different people; nobody's texts are decided out of their order."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from smsgate.flows.heard import Heard, reading_of
from smsgate.flows.inbound_turns import GROUP_MAX, GROUPS_MAX, Turn, Turns, Waiting
from smsgate.flows.records import MobileOriginated

AT = datetime(2026, 11, 28, tzinfo=UTC)


def said(person: int, text: str = "OK") -> Heard:
    mo = MobileOriginated(1, person, str(person), "38000", text, text.encode(), 0, AT)
    return Heard(mo, reading_of(text))


def waiting(*people: int, news: asyncio.Event | None = None) -> Waiting:
    """Return what waits: each text tells its place."""
    found = Waiting(news or asyncio.Event())
    for place, person in enumerate(people):
        found.put(said(person, str(place)))
    return found


def people_of(entries: list[Heard]) -> list[int]:
    return [entry.mo.msisdn for entry in entries]


async def waits(task: asyncio.Task[Turn]) -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return not task.done()


def test_who_is_busy_keeps_waiting_before_all_that_comes_later() -> None:
    queue = waiting(1, 2, 1, 3)
    assert people_of(queue.draw({1})) == [2, 3]
    queue.put(said(4))
    queue.put(said(1, "late"))
    assert len(queue) == 4
    assert [(each.mo.msisdn, each.mo.text) for each in queue.draw(set())] == [
        (1, "0"), (1, "2"), (4, "OK"), (1, "late"),
    ]  # fmt: skip


def test_one_person_with_a_thousand_texts_holds_up_a_groups_worth_of_others_and_fills_no_memory() -> None:
    queue = waiting(*[1] * 1_000, 2)
    assert queue.draw({1}) == []
    assert queue.draw({1}) == []
    assert len(queue) == 1_001
    assert people_of(queue.draw(set())) == [1] * GROUP_MAX


@given(
    people=st.lists(st.integers(1, 4), max_size=60),
    busy=st.lists(st.sets(st.integers(1, 4)), max_size=20),
)
def test_whatever_is_busy_each_persons_texts_come_once_and_in_order(
    people: list[int], busy: list[set[int]]
) -> None:
    queue, drawn = waiting(*people), list[Heard]()
    for some in [*busy, set[int]()]:
        group = queue.draw(some)
        assert not some & {*people_of(group)}
        drawn += group
    assert len(queue) == 0
    for person in {*people}:
        mine = [int(each.mo.text) for each in drawn if each.mo.msisdn == person]
        assert mine == [place for place, each in enumerate(people) if each == person]


async def test_the_next_group_begins_when_the_one_before_has_read_and_not_earlier() -> None:
    turns = Turns()
    first = await turns.come()
    second = asyncio.create_task(turns.come())
    assert await waits(second)
    first.has_read()
    assert not await waits(second)


async def test_no_third_group_begins_before_one_has_ended() -> None:
    turns, groups = Turns(), list[Turn]()
    for _ in range(GROUPS_MAX):
        groups.append(await turns.come())
        groups[-1].has_read()
    third = asyncio.create_task(turns.come())
    assert await waits(third)
    groups[-1].leave()  # not the oldest: the other may wait long for the database
    assert not await waits(third)


async def test_a_group_waits_where_all_that_waits_is_of_people_under_way() -> None:
    turns, queue = Turns(), waiting(1)
    first = await turns.come()
    assert people_of(await first.drawn(queue)) == [1]
    first.has_read()
    queue.put(said(1, "STOP"))
    second = await turns.come()
    drawing = asyncio.create_task(second.drawn(queue))
    await asyncio.sleep(0)
    assert not drawing.done()
    first.leave()
    assert people_of(await drawing) == [1]


async def test_who_comes_meanwhile_passes_those_of_people_under_way() -> None:
    turns = Turns()
    queue = waiting(1, news=turns.news)
    first = await turns.come()
    await first.drawn(queue)
    first.has_read()
    queue.put(said(1, "STOP"))
    second = await turns.come()
    drawing = asyncio.create_task(second.drawn(queue))
    await asyncio.sleep(0)
    queue.put(said(2))
    assert people_of(await drawing) == [2]
    assert len(queue) == 1


async def test_who_waits_for_one_person_goes_on_when_that_persons_group_ends() -> None:
    turns, queue = Turns(), waiting(1)
    first = await turns.come()
    await first.drawn(queue)
    first.has_read()
    second = await turns.come()
    about = asyncio.create_task(second.about(1))
    await asyncio.sleep(0)
    assert not about.done()
    first.leave()
    await about


async def test_who_must_be_alone_waits_for_all_and_all_wait_for_it() -> None:
    turns = Turns()
    first = await turns.come()
    first.has_read()
    only = await turns.come()
    alone = asyncio.create_task(only.alone())
    await asyncio.sleep(0)
    assert not alone.done()
    first.leave()
    await alone
    only.has_read()  # whose text it is has been said to nobody
    later = asyncio.create_task(turns.come())
    assert await waits(later)
    only.leave()
    assert not await waits(later)
    assert turns.busy


async def test_a_turn_that_is_left_twice_or_before_it_has_read_lets_one_in() -> None:
    turns = Turns()
    first = await turns.come()
    first.leave()
    first.leave()
    second = await turns.come()
    third = asyncio.create_task(turns.come())
    assert await waits(third)
    second.leave()
    assert not await waits(third)


async def test_who_gives_up_waiting_leaves_the_door_as_it_was() -> None:
    turns, last = Turns(), None
    for _ in range(GROUPS_MAX):
        last = await turns.come()
        last.has_read()
    assert last is not None
    given_up = asyncio.create_task(turns.come())
    assert await waits(given_up)
    given_up.cancel()
    assert not await waits(given_up)
    last.leave()
    assert not await waits(asyncio.create_task(turns.come()))


async def test_it_ends_after_what_was_put_before_also_where_somebody_was_passed() -> None:
    queue = waiting(1, 2)
    queue.close()
    assert await queue.come()
    assert people_of(queue.draw({1})) == [2]
    assert await queue.come()
    assert people_of(queue.draw(set())) == [1]
    assert not await queue.come()


async def test_a_close_wakes_who_waits_for_the_first() -> None:
    queue = waiting()
    coming = asyncio.create_task(queue.come())
    await asyncio.sleep(0)
    queue.close()
    assert not await coming
