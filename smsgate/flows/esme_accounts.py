"""Accounts of other companies' ESMEs, as the operator makes and changes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from smsgate.errors import Invalid
from smsgate.flows.esme_records import (
    BINDS_DEFAULT,
    QUEUE_DEFAULT,
    RATE_DEFAULT_PER_S,
    WINDOW_DEFAULT,
    AccountDraft,
    EsmeAccount,
    Purpose,
)
from smsgate.flows.ports import Ids
from smsgate.flows.ports_api import MerchantRow
from smsgate.flows.ports_commerce import SenderInfo
from smsgate.flows.ports_esmes import EsmeAccountStore
from smsgate.security.esme_passwords import new_password, password_mac

# SMPP 3.4 §5.2.1: 15 octets. No space and no comma: operators write lists of them.
SYSTEM_ID: Final = re.compile(r"[A-Za-z0-9_.@-]{1,15}")
SENDERS_MAX: Final = 100  # of one account, and as many numbers
BINDS_MAX: Final = 64
WINDOW_MAX: Final = 1_000  # deliver_sm without an answer: what an ESME may hold and lose
RATE_MAX_PER_S: Final = 10_000  # segments
QUEUE_MAX: Final = 1_000_000  # messages, some 500 octets each
DAILY_MAX: Final = 10_000_000_000  # segments


@dataclass(frozen=True, slots=True)
class AccountAsk:
    """What the operator says of a new account; the defaults are those of `AccountDraft`."""

    system_id: str
    senders: tuple[str, ...]
    numbers: tuple[str, ...] = ()
    purpose: Purpose = Purpose.TRANSACTIONAL
    binds_max: int = BINDS_DEFAULT
    window_max: int = WINDOW_DEFAULT
    rate_per_s: int = RATE_DEFAULT_PER_S
    queue_max: int = QUEUE_DEFAULT
    daily_max: int | None = None
    allow_binary: bool = False
    join_mo: bool = False


class EsmeAccounts:
    def __init__(
        self,
        store: EsmeAccountStore,
        mac_key: bytes,
        senders: Mapping[str, SenderInfo],
        ids: Ids,
        *,
        password_length: int,
    ) -> None:
        self.store = store
        self._mac_key = mac_key
        self._senders = senders
        self._ids = ids
        self._password_length = password_length

    async def add(self, merchant: MerchantRow, ask: AccountAsk) -> tuple[EsmeAccount, str]:
        """
        Make an account; return it and its password, which is shown this once.

        Raises:
            Invalid: a limit out of its range, a sender that the merchant may not use, or a number whose
                answers are not this merchant's alone.
            Conflict: the system_id is taken, or a number goes to another account.
        """
        senders = tuple(dict.fromkeys(sender.removeprefix("+") for sender in ask.senders))
        numbers = tuple(dict.fromkeys(number.removeprefix("+") for number in ask.numbers))
        _check_limits(ask)
        self._check_senders(merchant.slug, senders, numbers)
        account_id, password = self._ids.next(), new_password(self._password_length)
        account = await self.store.add(
            AccountDraft(
                merchant_id=merchant.merchant_id,
                account_id=account_id,
                system_id=ask.system_id,
                purpose=ask.purpose,
                password_mac=self._mac(account_id, password),
                senders=senders,
                numbers=numbers,
                binds_max=ask.binds_max,
                window_max=ask.window_max,
                rate_per_s=ask.rate_per_s,
                queue_max=ask.queue_max,
                daily_max=ask.daily_max,
                allow_binary=ask.allow_binary,
                join_mo=ask.join_mo,
            )
        )
        return account, password

    async def new_password(self, account_id: int) -> tuple[EsmeAccount, str]:
        """
        Replace the password; open sessions end.

        Raises:
            NotFound: no such account.
        """
        password = new_password(self._password_length)
        return await self.store.set_password(account_id, self._mac(account_id, password)), password

    def _mac(self, account_id: int, password: str) -> bytes:
        return password_mac(self._mac_key, account_id, password.encode("ascii"))

    def _check_senders(self, slug: str, senders: tuple[str, ...], numbers: tuple[str, ...]) -> None:
        if not 1 <= len(senders) <= SENDERS_MAX or len(numbers) > SENDERS_MAX:
            raise Invalid(
                f"An account has 1 to {SENDERS_MAX} senders and as many numbers.", pointer="/senders"
            )
        for sender in senders:
            info = self._senders.get(sender)
            if info is None or not info.allows(slug):
                raise Invalid(
                    f"{sender!r} is no sender number of a carrier that {slug} may use.",
                    code="sender_unknown",
                    pointer="/senders",
                )
        for number in numbers:
            info = self._senders.get(number)
            if info is None or not info.receives:
                raise Invalid(
                    f"{number!r} is no sender number that receives.",
                    code="sender_unknown",
                    pointer="/numbers",
                )
            if info.merchants != {slug}:  # others' customers answer to it as well
                raise Invalid(
                    f"{number!r} is not this merchant's alone: its entry must say "
                    f'merchants = ["{slug}"] before an account gets its answers.',
                    code="number_not_own",
                    pointer="/numbers",
                )


def _check_limits(ask: AccountAsk) -> None:
    if not SYSTEM_ID.fullmatch(ask.system_id):
        raise Invalid(
            "system_id: write 1 to 15 letters, digits, dots, dashes, underscores and @.", pointer="/system_id"
        )
    for name, value, most in (
        ("binds_max", ask.binds_max, BINDS_MAX),
        ("window_max", ask.window_max, WINDOW_MAX),
        ("rate_per_s", ask.rate_per_s, RATE_MAX_PER_S),
        ("queue_max", ask.queue_max, QUEUE_MAX),
        ("daily_max", 1 if ask.daily_max is None else ask.daily_max, DAILY_MAX),
    ):
        if not 1 <= value <= most:
            raise Invalid(f"{name}: write 1 to {most}.", pointer=f"/{name}")
