"""
Whose turn it is to claim, and who claims together.

A chunk of three thousand people is a claim of its own. A merchant's campaigns of few people, as webhooks make
them, share one, so that ten thousand campaigns of one person are a hundred transactions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from smsgate.flows.batches import Batch
from smsgate.flows.records import CampaignState

PREFETCH: Final = 2  # chunks of one campaign in memory: one being written, one ready
# Of one campaign, when its carriers differ in speed: the slow one holds them.
CAMPAIGN_BATCHES_MAX: Final = 16
HELD_MAX: Final = 200_000  # messages in memory, ~300 octets each: 60 MB
BATCH_WEIGHT: Final = 20  # what a batch takes besides its messages, in messages
# Up to here a campaign of which nothing is in memory gets its first chunk.
FIRST_HELD_MAX: Final = 2 * HELD_MAX
CLAIM_PEOPLE_MAX: Final = 3_000  # of campaigns that share a claim: as many as a chunk has
CLAIM_CAMPAIGNS_MAX: Final = 100  # that share a claim: a cancel waits some 100 ms for it at most


def key_of(state: CampaignState) -> tuple[int, int]:
    return state.merchant_id, state.campaign_id


def people_of(state: CampaignState) -> int:
    """Return how many people the campaign's next chunk has at most, as far as is known."""
    return min(state.recipients or CLAIM_PEOPLE_MAX, CLAIM_PEOPLE_MAX)


class HeldChunks:
    """What of chunks is in memory as a round begins, and what the round adds."""

    def __init__(self, batches: Collection[Batch]) -> None:
        self._weight = 0
        self._by_merchant: Counter[int] = Counter()
        self._by_campaign: Counter[tuple[int, int]] = Counter()
        # (merchant, campaign) -> batches by carrier that are not written out
        self._open: defaultdict[tuple[int, int], Counter[int]] = defaultdict(Counter)
        for batch in batches:
            if batch.key is not None:
                self.note(batch)

    def note(self, batch: Batch) -> None:
        assert batch.campaign_id is not None
        key = batch.merchant_id, batch.campaign_id
        self._weight += batch.size + BATCH_WEIGHT
        self._by_merchant[batch.merchant_id] += batch.size
        self._by_campaign[key] += batch.size
        if not batch.exhausted():
            self._open[key][batch.carrier_id] += 1

    def in_turn(self, states: Iterable[CampaignState]) -> list[CampaignState]:
        """Return the states in the order of their turns: whose merchant holds least for its weight first."""

        def held(state: CampaignState) -> tuple[float, int, int]:
            share = self._by_merchant[state.merchant_id] / state.weight
            return share, self._by_campaign[key_of(state)], state.campaign_id

        return sorted(states, key=held)

    def wants_more(self, state: CampaignState, spread: AbstractSet[int]) -> bool:
        """
        Return whether a carrier of this campaign will soon have nothing to write of it.

        `spread`: the carriers that its last claim went to.
        """
        mine = self._open.get(key_of(state), Counter[int]())
        spread = spread | set(mine)
        idle = not spread or min(mine[carrier_id] for carrier_id in spread) < PREFETCH
        room = HELD_MAX if mine else FIRST_HELD_MAX
        return idle and mine.total() < CAMPAIGN_BATCHES_MAX and self._weight < room


def claim_groups(states: Sequence[CampaignState]) -> list[list[CampaignState]]:
    """
    Return who claims together: a merchant's campaigns of few people, from its first turn on.

    So a merchant with many of them gets no more of a turn than another with a full chunk.
    """
    groups: list[list[CampaignState]] = []
    gathering: dict[int, tuple[list[CampaignState], int]] = {}
    for state in states:
        people = people_of(state)
        group, sum_ = gathering.get(state.merchant_id, ([], CLAIM_PEOPLE_MAX))
        if sum_ + people > CLAIM_PEOPLE_MAX or len(group) >= CLAIM_CAMPAIGNS_MAX:
            group, sum_ = [], 0
            groups.append(group)
        group.append(state)
        gathering[state.merchant_id] = (group, sum_ + people)
    return groups
