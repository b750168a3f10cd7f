"""One bind of an ESME: whose it is, and what went over it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from smsgate.esmes.connection import EsmeConnection
from smsgate.flows.esme_records import EsmeAccount, EsmeSession
from smsgate.protocol.commands import CommandId
from smsgate.protocol.pdus import Pdu


class Bind:
    """Implements `flows.esme_intake.Answerer`."""

    def __init__(self, account: EsmeAccount, connection: EsmeConnection, since: datetime) -> None:
        self.account = account  # as the operator changed it last
        self.connection = connection
        self.since = since
        self.submits = 0
        self.refused = 0
        self.asking = asyncio.Lock()  # its questions and changes go one after the other, in their order
        self.delivered = 0  # receipts and MOs given; a window of them may have no answer yet

    def answer_submissions(
        self, pdus: Sequence[Pdu], statuses: Sequence[int], message_ids: Sequence[bytes]
    ) -> None:
        """Answer submit_sm in one piece, and the rarer requests one by one."""
        self.refused += sum(1 for status in statuses if status)
        rows = list(zip(pdus, statuses, message_ids, strict=True))
        common = [row for row in rows if row[0].command_id == CommandId.SUBMIT_SM]
        if common:
            self.connection.answer_submits(
                [pdu.sequence_number for pdu, _, _ in common],
                [status for _, status, _ in common],
                [message_id for _, _, message_id in common],
            )
        for pdu, status, message_id in rows:
            if pdu.command_id != CommandId.SUBMIT_SM:
                self.connection.answer(pdu, status, {} if status else {"message_id": message_id})

    def leave_unanswered(self) -> None:
        """Cut the connection, which tells the ESME that it cannot know."""
        self.connection.abort()

    def status(self) -> EsmeSession:
        session = self.connection.session
        return EsmeSession(
            merchant_id=self.account.merchant_id,
            system_id=self.account.system_id,
            kind=session.kind.value,
            peer=self.connection.peer,
            version=session.interface_version,
            since=self.since,
            submits=self.submits,
            refused=self.refused,
            delivered=self.delivered,
            window_used=session.in_flight(),
            window_max=self.account.window_max,
        )

    def shown(self) -> dict[str, str]:
        """Return who this is, for a log line."""
        return {
            "system_id": self.account.system_id,
            "bind": self.connection.session.kind.value,
            "peer": self.connection.peer,
        }
