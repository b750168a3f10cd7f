"""
LESS.

Who finds it too much and says so is told how few come from now on, and gets no more: one offer in 14 days,
whatever the shop sends to the others, until START.
"""

from __future__ import annotations

from smsgate.flows.stops import KEEP_S
from tests.acceptance.town import Ground, Town, a_town, eventually


async def a_campaign(town: Town) -> None:
    """Have everybody's last offer answered, and a new one sent to all."""
    async with town.process.services.database.bulk() as connection:
        await connection.execute("UPDATE open_offer SET answered_at = now()")
    await town.finished(await town.new_record())


async def test_who_asks_for_fewer_messages_gets_one_in_14_days_until_start(ground: Ground) -> None:
    async with a_town(ground, subscribers=2) as town:
        await a_campaign(town)
        tired, other = town.msisdns
        await town.answer(tired, "moins de SMS svp")
        await eventually(lambda: len(town.texts(tired)) == 2)
        assert town.texts(tired)[1].startswith("Boxman: moins de SMS: au plus une offre tous les 14 jours.")
        found = await town.subscriber(tired)
        assert (found["offers_state"], found["fewer"]) == ("subscribed", True)

        await a_campaign(town)
        assert [town.offers_to(each) for each in (tired, other)] == [1, 2]

        async with town.process.services.database.bulk() as connection:  # 14 days later
            await connection.execute("UPDATE subscriber SET less_at = less_at - interval '14 days'")
            await connection.execute("UPDATE open_offer SET opened_at = opened_at - interval '14 days'")
        town.clock.skip(KEEP_S)  # and what this process remembers of the reply
        await a_campaign(town)
        assert [town.offers_to(each) for each in (tired, other)] == [2, 3]

        await town.answer(tired, "START")
        await eventually(lambda: len(town.texts(tired)) == 4)
        assert "vous recevrez nos offres" in town.texts(tired)[3]
        await a_campaign(town)
        assert [town.offers_to(each) for each in (tired, other)] == [3, 4]
        assert (await town.subscriber(tired))["fewer"] is False
