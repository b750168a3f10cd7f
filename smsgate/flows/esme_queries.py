"""query_sm, cancel_sm and replace_sm: an account's own messages, and nobody else's."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

from smsgate.clock import Clock
from smsgate.errors import NotFound, StoreError
from smsgate.flows.esme_judge import REGISTERED, form_refusal, msisdn_of, stored_body, validity_end
from smsgate.flows.esme_limits import EsmeLimits
from smsgate.flows.esme_message_ids import message_of
from smsgate.flows.esme_records import EsmeAccount, Replacement, VendorStatus
from smsgate.flows.ports_esmes import EsmeTrafficStore
from smsgate.protocol.commands import CommandId, Status
from smsgate.protocol.frames import Frame
from smsgate.protocol.pdus import Pdu, decode_pdu
from smsgate.protocol.submitted_content import content_refusal, segments_of
from smsgate.protocol.times import absolute_time
from smsgate.protocol.tlvs import Tag
from smsgate.security.public_ids import PublicIds

QUERIES: Final = frozenset({CommandId.QUERY_SM, CommandId.CANCEL_SM, CommandId.REPLACE_SM})


class Answer(NamedTuple):
    status: int
    fields: dict[str, Any] = {}  # noqa: RUF012 - nobody writes into them


class EsmeQueries:
    def __init__(
        self, store: EsmeTrafficStore, limits: EsmeLimits, public_ids: PublicIds, clock: Clock
    ) -> None:
        self._store = store
        self._limits = limits
        self._public_ids = public_ids
        self._clock = clock
        self.halted = False  # there is no room on the disk: no text grows

    async def answer(self, account: EsmeAccount, pdu: Pdu) -> Answer:
        """Answer one request. What is another account's looks as what never was."""
        try:
            if pdu.command_id == CommandId.QUERY_SM:
                return await self._query(account, pdu)
            if pdu.command_id == CommandId.CANCEL_SM:
                return Answer(await self._cancel(account, pdu))
            return Answer(Status.MSGQFUL if self.halted else await self._replace(account, pdu))
        except StoreError:
            return Answer(Status.SYSERR)

    async def _query(self, account: EsmeAccount, pdu: Pdu) -> Answer:
        message_id = self._message_id(pdu)
        found = None if message_id is None else await self._store.state(account, message_id)
        if found is None:
            return Answer(Status.INVMSGID)
        return Answer(
            Status.OK,
            {
                "message_id": pdu.fields["message_id"],
                "final_date": _date(found.final_at),
                "message_state": found.state,
                "error_code": found.error,
            },
        )

    async def _cancel(self, account: EsmeAccount, pdu: Pdu) -> int:
        fields = pdu.fields
        if fields["message_id"]:
            message_id = self._message_id(pdu)
            if message_id is None or await self._store.state(account, message_id) is None:
                return Status.INVMSGID
            message_ids = [message_id]
        else:
            sender = fields["source_addr"].decode("latin-1").removeprefix("+")
            msisdn = msisdn_of(fields["destination_addr"])
            if msisdn is None:
                return Status.INVDSTADR
            message_ids = await self._store.waiting_to(account, sender, msisdn)
        ended = await self._store.cancel(account, message_ids, self._clock.now()) if message_ids else 0
        return Status.OK if ended else Status.CANCELFAIL

    async def _replace(self, account: EsmeAccount, pdu: Pdu) -> int:
        if not account.active:
            return VendorStatus.SUSPENDED
        message_id = self._message_id(pdu)
        if message_id is None or await self._store.state(account, message_id) is None:
            return Status.INVMSGID
        if refusal := form_refusal(pdu.fields):
            return refusal
        expires_at = None
        if pdu.fields["validity_period"] and (expires_at := validity_end(pdu, self._clock.now())) is None:
            return Status.INVEXPIRY
        body = await self._store.body(account, message_id)
        if body is None:
            return Status.REPLACEFAIL
        made = _replaced(body, pdu)
        if refusal := content_refusal(made.fields, made.tlvs, allow_binary=account.allow_binary):
            return refusal
        replacement = Replacement(
            body=stored_body(made),
            registered=made.fields["registered_delivery"],
            segments=segments_of(made.fields, made.tlvs),
            expires_at=expires_at,
        )
        old = decode_pdu(Frame(CommandId.SUBMIT_SM, 0, 0, body))
        more = max(0, replacement.segments - segments_of(old.fields, old.tlvs))
        if refusal := self._limits.take_replacement(account, replacement.segments, more):
            return refusal
        replaced = False
        try:
            replaced = await self._store.replace(account, message_id, replacement, self._clock.now())
        finally:
            self._limits.settle_replacement(account, more, accepted=replaced)
        return Status.OK if replaced else Status.REPLACEFAIL

    def _message_id(self, pdu: Pdu) -> int | None:
        try:
            return message_of(self._public_ids, pdu.fields["message_id"])
        except NotFound:
            return None


def _replaced(body: bytes, pdu: Pdu) -> Pdu:
    """
    Return the stored submit_sm with the text and the wish for receipts of a replace_sm.

    The text may stand in message_payload, as that of a submit_sm.
    """
    old = decode_pdu(Frame(CommandId.SUBMIT_SM, 0, 0, body))
    fields = {
        **old.fields,
        "short_message": pdu.fields["short_message"],
        "registered_delivery": pdu.fields["registered_delivery"] & REGISTERED,
    }
    kept = (each for each in old.tlvs if each[0] != Tag.MESSAGE_PAYLOAD)
    tlvs = (*kept, *(each for each in pdu.tlvs if each[0] == Tag.MESSAGE_PAYLOAD))
    return old._replace(fields=fields, tlvs=tlvs)


def _date(at: datetime | None) -> bytes:
    return b"" if at is None else absolute_time(at)
