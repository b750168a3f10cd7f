"""
A chain of entries that nobody can change unseen: JSON lines, verified without anything else than the file.

Each entry holds the SHA-256 of the one before and its own; the last one, the seal, is signed with Ed25519 by
the gateway and says how many there are. An entry that was changed is named by its own hash, one that was put
in, taken out or moved by the hash of the one before, and a chain that was computed anew by the signature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

FORMAT: Final = "smsgate-proof-2"
FORMAT_WITHOUT_STAMPS: Final = "smsgate-proof-1"  # as files were before: still verified
FIRST: Final = "0" * 64  # what the first entry has in the place of the hash before
FILE_OCTETS_MAX: Final = 64 * 1024 * 1024  # an order has some kilobytes; more is another file
SEAL: Final = "seal"
_KEYS: Final = {"no", "kind", "at", "body", "previous", "sha256"}  # of a line; "id" where the entry has one


class Entry(NamedTuple):
    """`id` tells entries of one kind apart, where something refers to them (`proof_stamps`)."""

    kind: str
    at: str  # RFC 3339
    body: Mapping[str, object]
    id: str = ""


class Verdict(NamedTuple):
    """`wrong` is the first entry that does not hold, from 1; None: all do. `key` signed it, in hex."""

    entries: int
    wrong: int | None = None
    reason: str = ""
    key: str = ""
    format: str = ""


class ProofKey:
    """The gateway's key for proofs, from 32 secret octets of the instance."""

    def __init__(self, secret: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret)

    @property
    def public(self) -> str:
        """The public half, in hex: whoever verifies compares it with what the gateway published."""
        return self._key.public_key().public_bytes_raw().hex()

    def sign(self, octets: bytes) -> bytes:
        return self._key.sign(octets)

    def sealed(self, entries: Sequence[Entry], sealed_at: str) -> bytes:
        """Return the file."""
        lines: list[bytes] = []
        before = FIRST
        for no, entry in enumerate(entries, 1):
            line, before = _line(no, entry, before)
            lines.append(line)
        no = len(entries) + 1
        body = {"format": FORMAT, "entries": no, "public_key": self.public}
        signature = self._key.sign(_signed(no, before, body, sealed_at)).hex()
        lines.append(_line(no, Entry(SEAL, sealed_at, body | {"signature": signature}), before)[0])
        return b"".join(lines)


def verify(octets: bytes, key: str | None = None) -> Verdict:
    """
    Check a file; `key` (hex) is the gateway's public key, when it is known from elsewhere.

    Without it a file that somebody computed and signed anew is only shown to be whole: compare `Verdict.key`.
    """
    if len(octets) > FILE_OCTETS_MAX:
        return Verdict(0, 1, f"the file is larger than {FILE_OCTETS_MAX} octets")
    lines = octets.split(b"\n")
    if lines.pop() != b"" or not lines:
        return Verdict(len(lines), len(lines) + 1, "the file does not end with a whole line")
    before = FIRST
    entry: dict[str, object] = {}
    for no, line in enumerate(lines, 1):
        if reason := _wrong(no, line, before):
            return Verdict(len(lines), no, reason)
        entry = orjson.loads(line)
        if (entry["kind"] == SEAL) is not (no == len(lines)):
            return Verdict(len(lines), no, "the seal is not the last entry, or there is none")
        before, last = str(entry["sha256"]), before
    return _verify_seal(entry, last, len(lines), key)


def _verify_seal(seal: Mapping[str, object], before: str, no: int, key: str | None) -> Verdict:
    body = seal["body"]
    formats = {FORMAT, FORMAT_WITHOUT_STAMPS}
    if not isinstance(body, dict) or body.get("format") not in formats or body.get("entries") != no:
        return Verdict(no, no, "the seal is of another format or number of entries")
    signature, public = str(body.pop("signature", "")), str(body.get("public_key"))
    try:
        octets = bytes.fromhex(signature)
        if octets.hex() != signature:
            return Verdict(no, no, "the signature is not written as it is made")
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(
            octets, _signed(no, before, body, str(seal["at"]))
        )
    except (ValueError, InvalidSignature):
        return Verdict(no, no, "the signature does not fit: the entries were computed anew")
    if key is not None and key != public:
        return Verdict(no, no, "another gateway signed this, or somebody else", public)
    return Verdict(no, key=public, format=str(body["format"]))


def _wrong(no: int, line: bytes, before: str) -> str:
    """Return why an entry does not hold; "" when it does."""
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        return "this is no entry any more"
    if not isinstance(entry, dict) or entry.keys() - {"id"} != _KEYS:
        return "this is no entry any more"
    if entry["no"] != no:
        return f"entry {entry['no']} stands here: one was put in, taken out or moved"
    claimed = entry.pop("sha256")
    if claimed != hashlib.sha256(canonical(entry)).hexdigest():
        return "it was changed: its content does not have its hash"
    if canonical(entry | {"sha256": claimed}) != line:
        return "it was changed: it is not written as entries are"
    if entry["previous"] != before:
        return "it does not follow from the entry before"
    return ""


def _line(no: int, entry: Entry, before: str) -> tuple[bytes, str]:
    content = {"no": no, "kind": entry.kind, "at": entry.at, "body": entry.body, "previous": before}
    if entry.id:
        content["id"] = entry.id
    digest = hashlib.sha256(canonical(content)).hexdigest()
    return canonical(content | {"sha256": digest}) + b"\n", digest


def _signed(no: int, before: str, body: Mapping[str, object], at: str) -> bytes:
    return canonical({"no": no, "previous": before, "at": at, "body": body})


def canonical(value: Mapping[str, object]) -> bytes:
    """Return the one way in which a value is written where it is hashed."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
