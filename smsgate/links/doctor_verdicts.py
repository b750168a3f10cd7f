"""From what a carrier did to the keys of its profile; without I/O, so that each rule can be tested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from smsgate.protocol.message_ids import ALL_FORMS, IdForm, convert, fold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from smsgate.links.doctor_knobs import Knobs
    from smsgate.links.doctor_mail import ProbeReceipt
    from smsgate.protocol.segmentation import Concat

# found: the carrier showed it; kept: it could not be found out, so the profile's value stands.
State = Literal["found", "kept", "failed"]

_NOTHING: Final[Mapping[str, Any]] = {}


class Finding(NamedTuple):
    """`keys` are those of the profile that it settles; `mend` says what to do when it failed."""

    name: str
    state: State
    detail: str
    keys: Mapping[str, Any] = _NOTHING
    mend: str = ""


def knob_findings(knobs: Knobs) -> list[Finding]:
    """Return what had to be turned until the first message was taken."""
    return [
        Finding(key, "found", f"taken with {_shown(knobs.values[key])}", {key: knobs.values[key]})
        for key in sorted(knobs.turned)
    ]


def receipt_finding(receipts: Sequence[ProbeReceipt], took_s: float) -> Finding:
    """Return how the carrier marks receipts; only ones that nothing but their text marks need a key."""
    if not receipts:
        return Finding(
            "receipts",
            "failed",
            "no receipt came",
            mend="wait longer (--wait-s), switch the phone on, and ask whether the account has receipts",
        )
    forms = sorted({receipt.form for receipt in receipts})
    detail = f"the first came after {took_s:.1f} s, marked by {', '.join(forms)}"
    if forms == ["text"]:
        detail += ": whoever sends such a text can forge one; ask the carrier to set esm_class"
        return Finding("receipts", "found", detail, {"receipts": "text"})
    return Finding("receipts", "found", detail, {"receipts": "esm_class"})


def id_finding(responses: Sequence[bytes], receipts: Sequence[tuple[bytes, ...]]) -> Finding:
    """Return the one form in which every receipt names a message of ours; more than one that fits is none."""
    known = {fold(each) for each in responses if fold(each)}
    fitting = [
        form
        for form in ALL_FORMS
        if all(any(convert(each, form) in known for each in ids) for ids in receipts)
    ]
    examples = f"{_text(responses[0])} in the response, {_text(receipts[0][0])} in the receipt"
    if len(fitting) != 1:
        reason = "no form fits all" if not fitting else "more than one form fits"
        return Finding("ids", "kept", f"{reason} ({examples}); the gateway goes on learning")
    [form] = fitting
    keys: dict[str, Any] = {"id_resp": IdForm.AS_IS, "id_receipt": form}
    return Finding("ids", "found", f"{form} ({examples})", keys)


def alphabet_finding(seen: Sequence[str | None]) -> Finding:
    """Return what data_coding 0 means, from the answers A (an at sign) and B to octet 0x00, then to 0x40."""
    if seen[:1] == ["A"]:
        return Finding("alphabet", "found", "data_coding 0 is GSM 03.38", {"default_alphabet": "gsm7"})
    if list(seen) == ["B", "A"]:
        return Finding("alphabet", "found", "data_coding 0 is Latin-1", {"default_alphabet": "latin1"})
    if seen[:1] == [None]:
        return Finding("alphabet", "kept", "the phone did not answer A or B in time")
    return Finding("alphabet", "kept", f"the phone answered {seen[-1] or 'nothing'}, which decides nothing")


class LongTry(NamedTuple):
    """A long text told in one way: `refusal` is empty when it was taken; `seen` is the phone's answer."""

    concat: Concat
    refusal: str
    seen: str | None


def long_finding(tried: Sequence[LongTry], configured: Concat) -> Finding:
    """Return the way that brought a long text whole, else the first that was taken with nobody to say so."""
    last = tried[-1]
    if not last.refusal and last.seen == "A":
        return Finding("long", "found", f"a long text comes whole by {last.concat}", {"concat": last.concat})
    if not last.refusal and last.seen != "B":
        detail = f"parts told by {last.concat} are taken; nobody said whether the phone puts them together"
        return Finding(
            "long", "found", detail, _NOTHING if last.concat == configured else {"concat": last.concat}
        )
    said = ", ".join(f"{each.concat}: {each.refusal or 'came in pieces'}" for each in tried)
    return Finding(
        "long", "failed", said, mend="ask the carrier how the parts of a long text are to be told (concat)"
    )


def _shown(value: object) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value)


def _text(octets: bytes) -> str:
    return octets.decode("ascii", "replace") or "(empty)"
