"""
Stamps: what is written about a thing while things happen to it, so that a later change of a row is found.

Each stamp holds a salted SHA-256 of every row that was there and not stamped before, the hash of the stamp
before, and a signature, which those that are written together share (`hash_tree`): who can write to the
database and does not have the gateway's key can make none. The salt keeps a hash from being an answer to "is
it this number?"; with an erasure it goes, and a stamp that says so takes up what is left. A proof file holds
the rows as they are now and the stamps as they were made (`proof_chain`).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from smsgate.security import hash_tree, proof_chain
from smsgate.security.proof_chain import FIRST, FORMAT_WITHOUT_STAMPS, Entry, ProofKey, Verdict, canonical

STAMP: Final = "stamp"
OCTETS: Final = ("previous", "sha256", "signature", "salt")  # fields of a stamp that are octets, in hex
SALT_OCTETS: Final = 16
SUBJECTS: Final = frozenset({"order"})  # what has stamps of its own
NEEDED: Final = SUBJECTS | {"order_step"}  # written with a stamp, or not by the gateway
SIGNATURE_OCTETS: Final = 64
_SIGNED: Final = b"smsgate-stamp-1\n"  # no other signature of the key is one of a stamp
_SIGNED_ROOT: Final = b"smsgate-stamps-1\n"  # nor of many


class Content(NamedTuple):
    """What is hashed of an entry: `octets` are those of its `canonical` form, as `content_of` has them."""

    kind: str
    id: str
    octets: bytes


class Fact(NamedTuple):
    """One row: of which kind, which one, and the salted hash of its entry."""

    kind: str
    id: str
    sha256: str


class Stamp(NamedTuple):
    """`no` counts from 1; `salt` is "" when it was erased; hashes, salt and signature are hex."""

    subject: str
    no: int
    at: str  # RFC 3339
    erases: bool  # takes up all that is left of the subject
    facts: Sequence[Fact]
    previous: str
    sha256: str
    signature: str
    salt: str


class Held(NamedTuple):
    """`stamped` counts the entries that stamps hold; `since` is of the first one. `wrong` None: all hold."""

    stamped: int
    since: str = ""
    wrong: int | None = None  # an index into the entries
    reason: str = ""


def verify(octets: bytes, key: str | None = None) -> tuple[Verdict, Held]:
    """Check a proof file with the stamps in it; `proof_chain.verify` says what `key` is for."""
    verdict = proof_chain.verify(octets, key)
    if verdict.wrong is not None:
        return verdict, Held(0)
    entries = [
        Entry(line["kind"], line["at"], line["body"], line.get("id", ""))
        for line in map(orjson.loads, octets.splitlines())
    ]
    subjects = [entry for entry in entries if entry.kind in SUBJECTS]
    if verdict.format == FORMAT_WITHOUT_STAMPS or not (subjects or any(e.kind == STAMP for e in entries)):
        return verdict, Held(0)
    found = held(entries, verdict.key, subjects[0].id if len(subjects) == 1 else "")
    if found.wrong is not None:
        verdict = verdict._replace(wrong=found.wrong + 1, reason=found.reason)
    return verdict, found


def unsigned(
    subject: str, before: Stamp | None, at: str, contents: Sequence[Content], *, erases: bool = False
) -> Stamp:
    """Return the stamp that follows `before`, of these entries, to be signed with others."""
    salt = secrets.token_bytes(SALT_OCTETS)
    facts = [Fact(kind, id_, hashlib.sha256(salt + octets).hexdigest()) for kind, id_, octets in contents]
    no, previous = (1, FIRST) if before is None else (before.no + 1, before.sha256)
    digest = _digest(subject, no, at, facts, previous, erases=erases)
    return Stamp(subject, no, at, erases, facts, previous, digest.hex(), "", salt.hex())


def signed(key: ProofKey, stamps: Sequence[Stamp]) -> list[Stamp]:
    """
    Sign stamps that are written together by one signature: it takes 37 us, and the hashes for it 4.

    The signature of one alone is of its hash; with others it is of the root of their hashes, and the path to
    it stands behind the signature.
    """
    if not stamps:
        return []
    digests = [bytes.fromhex(stamp.sha256) for stamp in stamps]
    if len(stamps) == 1:
        return [stamps[0]._replace(signature=key.sign(_SIGNED + digests[0]).hex())]
    root, paths = hash_tree.tree(digests)
    signature = key.sign(_SIGNED_ROOT + root)
    return [
        Stamp(*stamp[:-2], (signature + path).hex(), stamp.salt)  # `_replace` takes twice as long
        for stamp, path in zip(stamps, paths, strict=True)
    ]


def entry_of(stamp: Stamp) -> Entry:
    """Return the stamp as an entry of a proof file."""
    body = stamp._asdict() | {"facts": [list(fact) for fact in stamp.facts]}
    del body["at"], body["no"]
    return Entry(STAMP, stamp.at, body, str(stamp.no))


def content_of(entry: Entry) -> Content:
    content = {"at": entry.at, "body": entry.body, "id": entry.id, "kind": entry.kind}
    return Content(entry.kind, entry.id, canonical(content))


def fact_sha256(salt: bytes, entry: Entry) -> str:
    """Return the salted hash of an entry, in hex."""
    return hashlib.sha256(salt + content_of(entry).octets).hexdigest()


def held(entries: Sequence[Entry], public_key: str, subject: str) -> Held:
    """
    Check the stamps of `subject` among the entries, and what they hold.

    An entry that is in no stamp came after the last one, but for what a stamp is made for (NEEDED). The first
    that is wrong is named: a changed row by itself, one that is not there any more by the stamp that held it.
    """
    places = [place for place, entry in enumerate(entries) if entry.kind == STAMP]
    if not places:
        return Held(0, wrong=0, reason="there is no stamp that holds this, nor any other")
    stamps: list[Stamp] = []
    for place in places:
        try:
            stamp = _read(entries[place])
        except (KeyError, TypeError, ValueError):
            return Held(0, wrong=place, reason="this is no stamp any more")
        if reason := _wrong_stamp(stamp, stamps[-1] if stamps else None, subject, public_key):
            return Held(0, wrong=place, reason=reason)
        stamps.append(stamp)
    first = max((n for n, stamp in enumerate(stamps) if stamp.erases), default=0)
    facts: dict[tuple[str, str], tuple[int, str, Fact]] = {}
    for place, stamp in zip(places[first:], stamps[first:], strict=True):
        if not stamp.salt:
            return Held(0, wrong=place, reason="its salt is gone, and nothing was erased after it")
        facts |= {(fact.kind, fact.id): (place, stamp.salt, fact) for fact in stamp.facts}
    return _compare(entries, facts)._replace(since=stamps[0].at)


def _compare(entries: Sequence[Entry], facts: Mapping[tuple[str, str], tuple[int, str, Fact]]) -> Held:
    wrong: dict[int, str] = {}
    there = set[tuple[str, str]]()
    stamped = 0
    for place, entry in enumerate(entries):
        found = facts.get((entry.kind, entry.id))
        there.add((entry.kind, entry.id))
        if found is not None:
            stamp, salt, fact = found
            stamped += 1
            if fact_sha256(bytes.fromhex(salt), entry) != fact.sha256:
                then = entries[stamp]
                wrong[place] = f"it was changed after {then.at}, when stamp {then.id} held it"
        elif entry.kind in NEEDED:
            wrong[place] = f"no stamp holds this {entry.kind}: it was put in"
    for (kind, id_), (stamp, _, _) in facts.items():
        if (kind, id_) not in there:
            wrong.setdefault(stamp, f"it holds the {kind} {id_}, which is not there any more")
    if not wrong:
        return Held(stamped)
    place = min(wrong)
    return Held(stamped, wrong=place, reason=wrong[place])


def _wrong_stamp(stamp: Stamp, before: Stamp | None, subject: str, public_key: str) -> str:
    """Return why a stamp does not hold; "" when it does."""
    no, previous = (1, FIRST) if before is None else (before.no + 1, before.sha256)
    if stamp.subject != subject:
        return "it is a stamp of something else"
    if stamp.no != no or stamp.previous != previous:
        return "it does not follow from the stamp before: one was put in, taken out or moved"
    digest = _digest(stamp.subject, stamp.no, stamp.at, stamp.facts, stamp.previous, erases=stamp.erases)
    if digest.hex() != stamp.sha256:
        return "it was changed: its content does not have its hash"
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        octets = bytes.fromhex(stamp.signature)
        signature, path = octets[:SIGNATURE_OCTETS], octets[SIGNATURE_OCTETS:]
        key.verify(signature, _SIGNED_ROOT + hash_tree.root_of(digest, path) if path else _SIGNED + digest)
    except (ValueError, InvalidSignature):
        return "the gateway did not sign it"
    return ""


def _read(entry: Entry) -> Stamp:
    """
    Read a stamp as `entry_of` wrote it.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    body: dict[str, Any] = dict(entry.body)
    facts = [Fact(*map(str, fact)) for fact in body["facts"]]
    previous, sha256, signature, salt = (bytes.fromhex(body[name]).hex() for name in OCTETS)
    stamp = Stamp(
        str(body["subject"]),
        int(entry.id),
        entry.at,
        body["erases"] is True,
        facts,
        previous,
        sha256,
        signature,
        salt,
    )
    if entry_of(stamp).body != body:
        raise ValueError("not as it is written")
    return stamp


def _digest(subject: str, no: int, at: str, facts: Sequence[Fact], previous: str, *, erases: bool) -> bytes:
    content = [subject, str(no), at, erases, previous, list(map(list, facts))]
    return hashlib.sha256(orjson.dumps(content)).digest()
