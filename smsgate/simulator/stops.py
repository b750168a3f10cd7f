"""
The judge of STOP: which offers were submitted to a phone after its STOP was taken.

A STOP is taken when its deliver_sm_resp with status 0 is here. Messages on the same connection after that
were written after it; on another connection they may have crossed it. So the SMSC asks an enquire_link on
the others: whatever comes after its answer was written after the STOP was taken.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

# An invitation to order by reply: a verb and OK, or what OK means.
_INVITATION: Final = re.compile(
    r"\b(?:r[ée]pond(?:ez|re|s)?|envoyez|tapez|reply|text|send|svara|skicka|antworten sie|responde|rispondi"
    r"|antwoord)\s+(?:(?:par|with|med|mit|con|met)\s+)?\W?OK\b",
    re.IGNORECASE,
)
_MEANING: Final = re.compile(r"\bOK\s*(?:=|pour\b|to\s|för\b)", re.IGNORECASE)
# "OK = order, NO = no": a question back by the gateway, which an offer does not ask.
_CHOICE: Final = re.compile(r"\b(?:NON|NO|NEJ|NEIN|NEE|NEI|NAO|EI|NIE|HAYIR|НЕТ|لا)\s*=", re.IGNORECASE)
_STOP: Final = re.compile(
    r"\W*(?:stop+|stopp|arr[eêé]te?[rz]?|d[ée]sabonne[rz]?|unsubscribe|avsluta|stop\s*(?:sms|pub|all|tout)?)"
    r"(?:\s+\w+){0,2}\W*",
    re.IGNORECASE,
)
_START: Final = re.compile(r"\W*(?:start|unstop|reprendre|activer)(?:\s+\w+)?\W*", re.IGNORECASE)


def is_offer(text: str) -> bool:
    """Return whether a text invites its reader to order by answering OK."""
    if _INVITATION.search(text) is not None:
        return True
    return _MEANING.search(text) is not None and _CHOICE.search(text) is None


def is_stop(text: str) -> bool:
    """Return whether a phone's own text is a plain STOP, such as simulated phones send."""
    return _STOP.fullmatch(text) is not None


def is_start(text: str) -> bool:
    return _START.fullmatch(text) is not None


class _Stop(NamedTuple):
    epoch: int
    connection: int


class StopJudge:
    """Pure; `connection` is any number that names one connection and is never used again."""

    def __init__(self) -> None:
        self.epoch = 0  # of the newest STOP; a connection is `past` an epoch by its own fence
        self.offers_after_stop = 0  # proved: must be 0
        self.offers_crossed = 0  # on their way when the STOP was taken, or possibly so
        self.violations: dict[tuple[int, bytes], int] = {}  # (msisdn, sender) -> offers after STOP
        self._stops: dict[int, dict[bytes, _Stop]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._stops.values()))

    def stopped(self, msisdn: int, sender: bytes, connection: int) -> int:
        """Note a STOP taken on `connection`; return its epoch, for the fences of the other connections."""
        senders = self._stops.setdefault(msisdn, {})
        if sender in senders:
            return senders[sender].epoch
        self.epoch += 1
        senders[sender] = _Stop(self.epoch, connection)
        return self.epoch

    def lifted(self, msisdn: int, sender: bytes) -> None:
        """Forget the STOP: the phone asked for messages again."""
        self._stops.get(msisdn, {}).pop(sender, None)

    def concerns(self, msisdn: int, sender: bytes) -> bool:
        return sender in self._stops.get(msisdn, ())

    def submitted(self, msisdn: int, sender: bytes, text: str, connection: int, fence: int) -> None:
        """Judge one message to a phone that `concerns`; `fence` is the epoch that the connection is past."""
        if not is_offer(text):
            return
        stop = self._stops[msisdn][sender]
        if connection == stop.connection or stop.epoch <= fence:
            self.offers_after_stop += 1
            self.violations[msisdn, sender] = self.violations.get((msisdn, sender), 0) + 1
        else:
            self.offers_crossed += 1
