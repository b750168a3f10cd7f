"""
A journal of the simulated SMSC: what it took and what was answered, one JSON object a line, in order.

A line is with the kernel before the PDU that it speaks of is answered, so a kill of the SMSC loses none. The
next start goes on from it: deliver_sm that found no answer go out again, as a real SMSC's do.

    {"event":"start"}
    {"event":"bind"|"unbind","connection":n,"account":a}
    {"event":"submit","connection":n,"id":i,"msisdn":m,"sender":s,"status":c,"text":t}
    {"event":"receipt","account":a,"body":hex}                          a deliver_sm that has to be taken
    {"event":"mo","account":a,"msisdn":m,"to":s,"kind":hex,"reference":r,"text":t}
    {"event":"answered","connection":n,"status":c,"final":b,"body":hex}  one deliver_sm_resp

`at` is in seconds since 1970. A `connection` is one of this start. `body` is what follows the PDU's header.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

import orjson

from smsgate.errors import SmsgateError
from smsgate.protocol.mo_text import read_mo
from smsgate.simulator.mobile_originated import Mo
from smsgate.simulator.submits import Submits

Event = dict[str, Any]

EVENTS: Final = frozenset({"start", "bind", "unbind", "submit", "receipt", "mo", "answered"})
LINE_START: Final = b'{"event":'  # of every line, so of one that a kill left unfinished, too


class JournalRefused(SmsgateError):
    """The file is no journal, or cannot be written."""

    code = "journal_refused"


class Journal:
    """Open for appending; `left` are the deliver_sm that an earlier start could not get rid of."""

    def __init__(self, fd: int, left: Mapping[str, Left]) -> None:
        self._fd = fd
        self.left = left

    @classmethod
    def open(cls, path: Path) -> Self:
        """
        Read what is there, cut off a line that a kill left unfinished, and go on behind it.

        Raises:
            OSError: it cannot be written.
            JournalRefused: the file is something else; it is left as it was.
        """
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            left, octets = _read_whole(path)
            os.ftruncate(fd, octets)  # not before all of it was read: it may be somebody's only copy
            os.lseek(fd, 0, os.SEEK_END)
        except BaseException:
            os.close(fd)
            raise
        journal = cls(fd, left)
        journal._write({"event": "start"})
        return journal

    def close(self) -> None:
        os.close(self._fd)

    def bound(self, connection: int, account: str) -> None:
        self._write({"event": "bind", "connection": connection, "account": account})

    def unbound(self, connection: int, account: str) -> None:
        self._write({"event": "unbind", "connection": connection, "account": account})

    def submits(self, connection: int, submits: Submits) -> None:
        """Note the submit_sm of one read; all columns are filled."""
        self._write(
            *(
                {
                    "event": "submit",
                    "connection": connection,
                    "id": submits.message_ids[i],
                    "msisdn": destination.decode("latin-1"),
                    "sender": submits.sources[i].decode("latin-1"),
                    "status": submits.statuses[i],
                    "text": read_mo(submits.texts[i], submits.data_codings[i], submits.esm_classes[i]).text,
                }
                for i, destination in enumerate(submits.destinations)
            )
        )

    def receipts(self, account: str, bodies: Iterable[bytes]) -> None:
        self._write(*({"event": "receipt", "account": account, "body": body.hex()} for body in bodies))

    def mo(self, account: str, mo: Mo) -> None:
        self._write(
            {
                "event": "mo",
                "account": account,
                "msisdn": mo.msisdn,
                "to": mo.destination.decode("latin-1"),
                "kind": mo.kind.hex(),
                "reference": mo.reference,
                "text": mo.text,
            }
        )

    def answered(self, connection: int, status: int, body: bytes, *, final: bool) -> None:
        """Note a deliver_sm_resp; unless it is `final` the same deliver_sm goes out again."""
        head = {"event": "answered", "connection": connection, "status": status}
        self._write({**head, "final": final, "body": body.hex()})

    def _write(self, *events: Event) -> None:
        at = time.time()
        octets = b"".join(orjson.dumps({**event, "at": at}) + b"\n" for event in events)
        while octets:
            octets = octets[os.write(self._fd, octets) :]


class Left:
    """What one account still has to get."""

    def __init__(self) -> None:
        self.receipts: list[bytes] = []
        self.mos: list[Mo] = []


def _read_whole(path: Path) -> tuple[dict[str, Left], int]:
    """
    Return what found no final answer, and the octets of the file's finished lines.

    Raises:
        JournalRefused: the file is no journal.
    """
    content = path.read_bytes()
    octets = content.rfind(b"\n") + 1
    rest = content[octets:]
    try:
        events = [orjson.loads(line) for line in content[:octets].split(b"\n")[:-1]]
        alien = any(event["event"] not in EVENTS for event in events)
        left = unanswered(events)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, SmsgateError):
        alien, left = True, {}  # whatever a line lacks of what an event has
    if alien or rest[: len(LINE_START)] != LINE_START[: len(rest)]:
        raise JournalRefused(
            f"{path} is no journal of `smsgate smsc`, and stays as it is: name another file."
        )
    return left, octets


def mo_of(event: Event) -> Mo:
    """Return the text of a phone that an event "mo" speaks of."""
    return Mo(
        event["msisdn"],
        event["to"].encode("latin-1"),
        event["text"],
        bytes.fromhex(event["kind"]),
        event["reference"],
    )


def read_journal(path: Path) -> Iterator[Event]:
    """Yield the events of a journal; a last line without its end is left out."""
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield orjson.loads(line)


def unanswered(events: Iterable[Event]) -> dict[str, Left]:
    """Return by account what found no final answer; a long text of which any part is open comes whole."""
    receipts: dict[tuple[str, str], int] = {}
    mos: list[tuple[str, Mo]] = []
    done: Counter[str] = Counter()
    for event in events:
        match event["event"]:
            case "receipt":
                key = (event["account"], event["body"])
                receipts[key] = receipts.get(key, 0) + 1
            case "mo":
                mos.append((event["account"], mo_of(event)))
            case "answered" if event["final"]:
                done[event["body"]] += 1
    left: dict[str, Left] = {}
    for (account, body), count in receipts.items():
        if count > done[body]:
            left.setdefault(account, Left()).receipts += [bytes.fromhex(body)] * (count - done[body])
    for account, mo in mos:
        bodies = [body.hex() for body in mo.bodies]
        if all(done[body] for body in bodies):
            done.subtract(bodies)
        else:
            left.setdefault(account, Left()).mos.append(mo)
    return left
