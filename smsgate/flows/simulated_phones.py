"""What is done on a simulated phone: its owner, a shop's developer, reads what came and answers."""

from __future__ import annotations

from smsgate.clock import Clock
from smsgate.errors import Invalid
from smsgate.flows.inbound import Intake
from smsgate.flows.inbound_records import storable
from smsgate.flows.ports import Ids
from smsgate.flows.records import MobileOriginated


class SimulatedPhones:
    def __init__(self, intake: Intake, ids: Ids, clock: Clock, *, carrier_id: int) -> None:
        self._intake = intake
        self._ids = ids
        self._clock = clock
        self._carrier_id = carrier_id

    async def reply(self, merchant_id: int, msisdn: int, recipient: str, text: str) -> int:
        """
        Have the phone write `text` to a sender number, and return the id of the reply.

        It is read, decided and committed as what a carrier delivers; each call is a text of its own, where
        a carrier's repetition would not count.

        Raises:
            Invalid: code `nobody_there`; no merchant was written to, as nothing is known of the phone.
            StoreError: nothing was taken.
        """
        mo = MobileOriginated(
            carrier_id=self._carrier_id,
            msisdn=msisdn,
            source=str(msisdn),
            destination=recipient,
            text=storable(text),
            raw=text.encode(),
            data_coding=0,
            received_at=self._clock.now(),
            ref=self._ids.next(),
            codec="utf-8",
        )
        writes = await self._intake.take(mo)
        for row in writes.rows:
            if row.merchant_id == merchant_id:
                return row.inbound_id
        raise Invalid(
            "nobody hears this phone: make it a subscriber and send it something first",
            code="nobody_there",
            pointer="/text",
        )
