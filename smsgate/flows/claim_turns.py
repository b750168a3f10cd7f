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
from smsgate.flows.claims_under_way import ClaimsUnderWay
from smsgate.flows.records import CampaignState

PREFETCH: Final = 3  # chunks of one campaign: one being written, one ready, one being claimed
# Of one campaign, when its carriers differ in speed: the slow one holds them.
CAMPAIGN_BATCHES_MAX: Final = 16
HELD_MAX: Final = 200_000  # messages in memory, ~300 octets each: 60 MB
BATCH_WEIGHT: Final = 20  # what a batch takes besides its messages, in messages
# Up to here a campaign of which nothing is in memory gets its first chunk, and a merchant without any beyond
# that. What waits for a pace counts apart, so there are twice as many at most: 300 MB.
FIRST_HELD_MAX: Final = 2 * HELD_MAX
MERCHANT_HELD_MAX: Final = 5 * HELD_MAX // 2
CLAIM_PEOPLE_MAX: Final = 3_000  # of campaigns that share a claim: as many as a chunk has
CLAIM_CAMPAIGNS_MAX: Final = 100  # that share a claim: a cancel waits some 100 ms for it at most


def key_of(state: CampaignState) -> tuple[int, int]:
    return state.merchant_id, state.campaign_id


def people_of(state: CampaignState) -> int:
    """Return how many people the campaign's next chunk has at most, as far as is known."""
    return min(state.recipients or CLAIM_PEOPLE_MAX, CLAIM_PEOPLE_MAX)


class HeldChunks:
    """What of chunks is in memory as a round begins, what the round adds, and what is under way beside it."""

    def __init__(self, batches: Collection[Batch], under_way: ClaimsUnderWay) -> None:
        self._under_way = under_way
        # What waits for a pace stays for up to an hour: counted apart, it keeps none of the others out.
        self._weight = self._paced_weight = 0
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
        if batch.chunk is not None and batch.chunk.limit is not None:
            self._paced_weight += batch.size + BATCH_WEIGHT
        else:
            self._weight += batch.size + BATCH_WEIGHT
        self._by_merchant[batch.merchant_id] += batch.size
        self._by_campaign[key] += batch.size
        if not batch.exhausted():
            self._open[key][batch.carrier_id] += 1

    def in_turn(self, states: Iterable[CampaignState]) -> list[CampaignState]:
        """Return the states in the order of their turns: whose merchant holds least for its weight first."""
        states = list(states)
        coming: Counter[int] = Counter()  # by merchant: people of claims under way
        for state in states:
            coming[state.merchant_id] += self._coming(state)

        def held(state: CampaignState) -> tuple[float, int, int]:
            merchant_id = state.merchant_id
            share = (self._by_merchant[merchant_id] + coming[merchant_id]) / state.weight
            return share, self._by_campaign[key_of(state)] + self._coming(state), state.campaign_id

        return sorted(states, key=held)

    def wants_more(self, state: CampaignState, spread: AbstractSet[int]) -> bool:
        """
        Return whether a carrier of this campaign will soon have nothing to write of it.

        `spread`: the carriers that its last claim went to.
        """
        mine = self._open.get(key_of(state), Counter[int]())
        spread = spread | set(mine)
        coming = self._under_way.of(key_of(state))
        if coming and people_of(state) < CLAIM_PEOPLE_MAX:
            return False  # its one chunk is being claimed
        pace = state.messages_per_minute
        weight = self._weight if pace is None else self._paced_weight
        if not mine and not coming:
            return weight < (FIRST_HELD_MAX if self._by_merchant[state.merchant_id] else MERCHANT_HELD_MAX)
        prefetch = PREFETCH
        if pace is not None and pace <= people_of(state):
            prefetch = 1  # writing one chunk takes a minute at least
        ready = coming + min((mine[carrier_id] for carrier_id in spread), default=0)
        return ready < prefetch and mine.total() + coming < CAMPAIGN_BATCHES_MAX and weight < HELD_MAX

    def _coming(self, state: CampaignState) -> int:
        """Return how many people claims under way may bring of a campaign."""
        return self._under_way.of(key_of(state)) * people_of(state)


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
