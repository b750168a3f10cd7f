"""
Two names of one message: the id in its submit_sm_resp, and the id in its receipts.

SMPP 3.4 §5.2.23 calls both opaque. In the field one is often hexadecimal and the other decimal, one padded
with zeros, one in upper case (jasmin issues 20, 24, 418, 586, 643; jsmpp issue 56). So ids are compared by
carrier and folded form, after the receipt's id is written in the base of the response. The octets are kept
as received.
"""

from __future__ import annotations

import re
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# From so many digits on, an id that fits by chance in another base belongs to a message that is far away:
# 7 digits read as hexadecimal are at least 15 million more than read as decimal.
SURE_DIGITS: Final = 7
VOTES_MIN: Final = 3  # short ids that fit one form alone before the form is believed
VOTES_TO_ONE: Final = 9  # so many for every one that speaks for another form

# So many ids, all different, of which none has a digit above 9, are decimal: of 16 hexadecimal numbers in a
# row 6 end in one, and of those made at random at least as many hold one.
DECIMALS_MIN: Final = 20

ZERO: Final = b"0"

# Longer ones are no numbers in any base, and Python refuses to read thousands of digits.
_HEX: Final = re.compile(rb"[0-9A-Fa-f]{1,65}")
_DECIMAL: Final = re.compile(rb"[0-9]{1,65}")

Found = TypeVar("Found")
Found_co = TypeVar("Found_co", covariant=True)


class IdForm(StrEnum):
    """What is done to an id before it is compared."""

    AS_IS = "as_is"
    HEX_TO_DEC = "hex_to_dec"
    DEC_TO_HEX = "dec_to_hex"
    AUTO = "auto"  # of receipts only: whichever of the others fits


ALL_FORMS: Final = (IdForm.AS_IS, IdForm.HEX_TO_DEC, IdForm.DEC_TO_HEX)
# (id_resp, id_receipt) -> what makes a receipt's id one of a response. Both to decimal: both are hexadecimal.
_TOGETHER: Final[Mapping[tuple[IdForm, IdForm], tuple[IdForm, ...]]] = {
    **{(IdForm.AS_IS, form): (form,) for form in ALL_FORMS},
    (IdForm.AS_IS, IdForm.AUTO): ALL_FORMS,
    (IdForm.HEX_TO_DEC, IdForm.AS_IS): (IdForm.DEC_TO_HEX,),
    (IdForm.HEX_TO_DEC, IdForm.HEX_TO_DEC): (IdForm.AS_IS,),
    (IdForm.HEX_TO_DEC, IdForm.AUTO): (IdForm.AS_IS, IdForm.DEC_TO_HEX),
    (IdForm.DEC_TO_HEX, IdForm.AS_IS): (IdForm.HEX_TO_DEC,),
    (IdForm.DEC_TO_HEX, IdForm.DEC_TO_HEX): (IdForm.AS_IS,),
    (IdForm.DEC_TO_HEX, IdForm.AUTO): (IdForm.AS_IS, IdForm.HEX_TO_DEC),
}


def forms_of(id_resp: IdForm, id_receipt: IdForm) -> tuple[IdForm, ...]:
    """Return the forms that a receipt's id may take to be compared; empty when the two never agree."""
    return _TOGETHER.get((id_resp, id_receipt), ())


def fold(message_id: bytes) -> bytes:
    """Return the id without what spelling adds: case and leading zeros. Zeros alone are one."""
    return message_id.lower().lstrip(b"0") or message_id[:1]


def folded_differs(message_ids: Sequence[bytes]) -> bool:
    """Return whether any of these ids may differ from its folded form; one look for a whole read."""
    joined = b"\n".join(message_ids)
    return b"\n0" in joined or joined.startswith(b"0") or joined != joined.lower()


def convert(message_id: bytes, form: IdForm) -> bytes:
    """Return a receipt's id folded, in the base of the response; empty when it is no number of that base."""
    if form is IdForm.AS_IS:
        return fold(message_id)
    if form is IdForm.DEC_TO_HEX:
        return fold(b"%x" % int(message_id)) if _DECIMAL.fullmatch(message_id) else b""
    return fold(b"%d" % int(message_id, 16)) if _HEX.fullmatch(message_id) else b""


def is_sure(message_id: bytes) -> bool:
    """Return whether a fit is no chance: the id is no number at all, or a long one."""
    return not _HEX.fullmatch(message_id) or len(fold(message_id)) >= SURE_DIGITS


class Known(Protocol[Found_co]):
    """The messages of one carrier that a receipt may be for."""

    def exact(self, message_id: bytes) -> Found_co | None:
        """Return the message whose response had these octets; of several the newest open one."""
        ...

    def folded(self, message_id: bytes) -> Found_co | None:
        """Return the message whose id folds to this; None when ids of several spellings do."""
        ...


class Fit(NamedTuple, Generic[Found]):
    """`form` is None when every form that fits leads to the same message: then it proves none of them."""

    found: Found
    form: IdForm | None


class _Digits:
    """Whether the ids of one side are hexadecimal or decimal, by those that were seen."""

    __slots__ = ("_decimals", "_hexadecimal", "_opaque")

    def __init__(self) -> None:
        self._decimals: set[bytes] = set()  # no more than DECIMALS_MIN
        self._hexadecimal = False
        self._opaque = False

    def add(self, message_ids: Sequence[bytes]) -> None:
        for message_id in message_ids:
            if message_id.isdigit():
                if len(self._decimals) < DECIMALS_MIN:
                    self._decimals.add(fold(message_id))
            elif _HEX.fullmatch(message_id):
                self._hexadecimal = True
            else:
                self._opaque = True

    def hexadecimal(self) -> bool | None:
        """Return None when it does not show."""
        if self._opaque:
            return None
        return True if self._hexadecimal else False if len(self._decimals) >= DECIMALS_MIN else None


class ReceiptIds:
    """
    How receipts of one carrier name their messages: told by its profile, or learned from the first of them.

    `form` is None until it is known. A form once learned stays until the process ends.
    """

    __slots__ = ("_forms", "_receipts", "_responses", "_told", "form")

    def __init__(self, forms: Sequence[IdForm] = ALL_FORMS) -> None:
        assert forms
        self._forms = tuple(forms)
        self._told = len(forms) == 1
        self._responses, self._receipts = _Digits(), _Digits()
        self.form = forms[0] if self._told else None

    def __str__(self) -> str:
        if self.form is None:
            return "auto, not learned yet"
        return str(self.form) if self._told else f"{self.form}, learned"

    def column(self, message_ids: list[bytes]) -> list[bytes]:
        """Return ids of receipts as most responses spell them: what `Known.exact` is asked first."""
        form = self.form
        if form is None or form is IdForm.AS_IS:
            return message_ids
        return [convert(message_id, form) for message_id in message_ids]

    def keys(self, message_id: bytes, other_id: bytes) -> set[bytes]:
        """Return every folded id that this receipt may be compared by."""
        forms = self._forms if self.form is None else (self.form,)
        found = {convert(each, form) for each in (message_id, other_id) for form in forms}
        return found - {b""}

    def fit(self, message_id: bytes, other_id: bytes, known: Known[Found]) -> Fit[Found] | None:
        """
        Return the message that a receipt is for; None when there is none, or more than one.

        `message_id` is the TLV's, or the text's when there is no TLV; `other_id` is the text's where it
        differs, else empty. What `form` does not say yet is not guessed: two forms that lead to two messages
        lead to none.
        """
        for each in self._in_order(message_id, other_id):
            forms = self._forms if self.form is None else (self.form,)
            fits: dict[IdForm, Found] = {}
            for form in forms:
                if (found := _locate(each, form, known)) is not None:
                    fits[form] = found
            if len(set(fits.values())) > 1:
                return None
            if fits:
                form, found = next(iter(fits.items()))
                return Fit(found, form if len(fits) == 1 else None)
        return None

    def see(self, responses: Sequence[bytes], receipts: Sequence[bytes]) -> None:
        """Leave out the forms that cannot be, by the digits of many ids; it takes a fit to learn the form."""
        self._responses.add(responses)
        self._receipts.add(receipts)
        from_hex, to_hex = self._receipts.hexadecimal(), self._responses.hexadecimal()
        if from_hex is None or to_hex is None:
            return
        meant = IdForm.AS_IS
        if from_hex is not to_hex:
            meant = IdForm.HEX_TO_DEC if from_hex else IdForm.DEC_TO_HEX
        if self.form is None and meant in self._forms:
            self._forms = (meant,)

    def learn(self, votes: Counter[IdForm]) -> bool:
        """
        Take what receipts spoke for; return whether that decides the form.

        A vote is a receipt that fits by one form alone; one that is sure, or that has waited until every
        response has come, counts VOTES_MIN.
        """
        if self.form is not None or not votes:
            return False
        (form, count), *others = votes.most_common()
        if count < VOTES_MIN or count < VOTES_TO_ONE * sum(each for _, each in others):
            return False
        self.form = form
        return True

    def _in_order(self, message_id: bytes, other_id: bytes) -> tuple[bytes, ...]:
        """Return both ids, the TLV's first; of one number in two bases first the one that `form` is about."""
        if not other_id:
            return (message_id,)
        if self.form is IdForm.DEC_TO_HEX and convert(other_id, IdForm.DEC_TO_HEX) == fold(message_id):
            return other_id, message_id
        if self.form is IdForm.HEX_TO_DEC and convert(other_id, IdForm.HEX_TO_DEC) == fold(message_id):
            return other_id, message_id
        return message_id, other_id


def _locate(message_id: bytes, form: IdForm, known: Known[Found]) -> Found | None:
    if not message_id:
        return None
    if form is IdForm.AS_IS and (found := known.exact(message_id)) is not None:
        return found
    key = convert(message_id, form)
    return known.folded(key) if key else None
