"""API keys are made in one way, whoever asks for one: its text is returned this once, and its hash stored."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from smsgate.clock import Clock
from smsgate.flows.ports import Ids
from smsgate.flows.ports_api import ApiKeyStore, KeyDraft, Principal
from smsgate.security.api_keys import Mode, key_mac, new_key

KEYS_PER_NAME_MAX: Final = 2  # the old one and the new one while a key is being replaced


@dataclass(frozen=True, slots=True)
class AskedKey:
    """`owner_id` is a merchant or OPERATOR; `expires_at` None: never."""

    owner_id: int
    name: str
    mode: Mode
    scopes: Collection[str]  # of security.api_keys.Scope
    expires_at: datetime | None = None


async def add_key(
    store: ApiKeyStore, ids: Ids, clock: Clock, mac_key: bytes, asked: AskedKey
) -> tuple[Principal, str]:
    """
    Make a key; return it with its text.

    Raises:
        Conflict: KEYS_PER_NAME_MAX keys of this owner and name are in force.
        NotFound: no such merchant.
    """
    key = new_key(asked.mode)
    draft = KeyDraft(
        key_id=ids.next(),
        public_id=key.public_id,
        owner_id=asked.owner_id,
        mac=key_mac(mac_key, key.text),
        name=asked.name,
        mode=key.mode.value,
        scopes=tuple(sorted(set(map(str, asked.scopes)))),
        expires_at=asked.expires_at,
    )
    added = await store.add(draft, per_name_max=KEYS_PER_NAME_MAX, now=clock.now())
    return added, key.text
