"""A merchant's keywords: made, listed, taken away. What an MO does with one is `flows.inbound_joining`."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple, Protocol

from smsgate.campaigns.consent_answers import Said, said_to_question
from smsgate.campaigns.consent_commands import join_word, pause_days, wants_less, wants_more
from smsgate.campaigns.order_commands import may_command
from smsgate.campaigns.replies import Label
from smsgate.campaigns.reply_entries import LANGUAGES
from smsgate.clock import Clock
from smsgate.errors import Invalid
from smsgate.flows.commerce_records import Page, PageAsk
from smsgate.flows.heard import reading_of
from smsgate.flows.offers import Offers
from smsgate.flows.ports import Ids

WORD_CHARACTERS_MAX: Final = 20  # what people type from a poster


class KeywordRow(NamedTuple):
    keyword_id: int
    sender: str
    word: str  # as words are compared: without case, accents and signs
    wording_version: str
    double_opt_in: bool
    created_at: datetime


class KeywordStore(Protocol):
    async def add(self, merchant_id: int, row: KeywordRow) -> None:
        """
        Store a keyword.

        Raises:
            Conflict: code `keyword_taken`; each word of a number is one merchant's.
        """
        ...

    async def page(self, merchant_id: int, ask: PageAsk) -> Page[KeywordRow]: ...

    async def delete(self, merchant_id: int, keyword_id: int) -> None:
        """
        Take a keyword away; who opted in by it stays.

        Raises:
            NotFound: no such keyword of this merchant.
        """
        ...


class Keywords:
    def __init__(self, store: KeywordStore, offers: Offers, ids: Ids, clock: Clock) -> None:
        self._store = store
        self._offers = offers
        self._ids = ids
        self._clock = clock

    async def create(
        self, merchant_id: int, sender: str, word: str, wording_version: str, *, double_opt_in: bool
    ) -> KeywordRow:
        """
        Store a keyword of one of the merchant's numbers.

        Raises:
            Invalid: code `sender_unknown`, `sender_not_reply_capable`, or `keyword_reserved`: the text means
                something already, or is no single word.
            Conflict: code `keyword_taken`.
        """
        await self._offers.check_asking(merchant_id, sender, "/sender")
        compared = join_word(word)
        if not compared or not _is_free(word):
            raise Invalid(
                "as a reply it means something already (a yes, a no, a number, STOP, START, HELP, PAUSE, "
                "... in one of the gateway's languages), or it is not one word of letters and digits",
                code="keyword_reserved",
                pointer="/word",
            )
        row = KeywordRow(
            self._ids.next(), sender, compared, wording_version, double_opt_in, self._clock.now()
        )
        await self._store.add(merchant_id, row)
        return row

    async def page(self, merchant_id: int, ask: PageAsk) -> Page[KeywordRow]:
        return await self._store.page(merchant_id, ask)

    async def delete(self, merchant_id: int, keyword_id: int) -> None:
        await self._store.delete(merchant_id, keyword_id)


def _is_free(word: str) -> bool:
    """Whether a word means nothing; a yes or a no of any language answers the questions of all merchants."""
    alone, behind = reading_of(word).label, reading_of(f"JOIN {word}").label
    commands = pause_days(word) is not None or wants_less(word) or wants_more(word) or may_command(word)
    return (
        alone is Label.UNCLEAR
        and behind in {Label.START, Label.UNCLEAR}
        and not commands
        and all(said_to_question(word, language, ()) is Said.NOTHING for language in LANGUAGES)
    )
