"""submit_sm bodies in one carrier's manner: addresses, alphabet, validity, receipts asked for."""

from __future__ import annotations

from collections import OrderedDict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from smsgate.errors import TextError
from smsgate.protocol.columns import SubmitTemplate, digits
from smsgate.protocol.gsm0338 import DATA_CODING, ESM_CLASS_UDHI, decode_gsm
from smsgate.protocol.packing import fill_bits_after, pack
from smsgate.protocol.session_states import takes_tlvs
from smsgate.protocol.times import absolute_time, relative_time
from smsgate.protocol.wap_push import DATA_CODING as DATA_CODING_PUSH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from smsgate.clock import Clock
    from smsgate.links.profile import CarrierProfile
    from smsgate.protocol.segmentation import Concat

TEMPLATES_MAX: Final = 256  # senders times alphabets times TLVs of offers in use at one time; the oldest goes
TEMPLATE_AGE_MAX_S: Final = 60.0  # an absolute validity_period stands in the template: it is this old at most
_DEFAULT: Final = DATA_CODING["gsm7"]
_LATIN1: Final = DATA_CODING["latin1"]
_UCS2: Final = DATA_CODING["ucs2"]

_NO_HEADERS: Final = "this carrier's default alphabet is Latin-1, and the text was cut for septets"

_Key = tuple[str, int, int, bytes]


class BodyMaker:
    """Make bodies from templates that are encoded once per (sender, data_coding, esm_class, TLVs)."""

    def __init__(self, profile: CarrierProfile, clock: Clock) -> None:
        self._profile = profile
        self._clock = clock
        self.with_tlvs = takes_tlvs(profile.interface_version, None, missing_is_33=False)
        self._templates: OrderedDict[_Key, tuple[float, SubmitTemplate]] = OrderedDict()

    def take_version(self, sc_interface_version: int | None) -> None:
        """Take what the SMSC said of itself at the bind: whether it can be sent TLVs."""
        profile = self._profile
        with_tlvs = takes_tlvs(
            profile.interface_version, sc_interface_version, missing_is_33=profile.missing_version_is_old
        )
        if with_tlvs != self.with_tlvs:
            self.with_tlvs = with_tlvs
            self._templates.clear()

    @property
    def concat(self) -> Concat:
        """Return how parts are told: by headers to an SMSC that said it is too old for TLVs."""
        concat = self._profile.concat
        return concat if concat in {"udh8", "udh16"} or self.with_tlvs else "udh8"

    def bodies(
        self,
        sender: str,
        msisdns: Sequence[int],
        texts: Sequence[bytes],
        data_coding: int,
        esm_class: int = 0,
        tlvs: bytes = b"",
    ) -> list[bytes]:
        """
        Return one submit_sm body per recipient; see `flows.ports.Carrier.bodies`.

        Raises:
            TextError: code `not_in_alphabet`; this carrier's default alphabet lacks a character.
            BodyError: a text of more octets than a short_message holds.
        """
        assert len(msisdns) == len(texts)
        assert data_coding in {_DEFAULT, _LATIN1, _UCS2, DATA_CODING_PUSH}
        if not texts:
            return []
        if data_coding == _DEFAULT:
            data_coding = self._profile.gsm_data_coding
            if self._profile.default_alphabet == "latin1":
                if esm_class & ESM_CLASS_UDHI:  # cut for septets, before the profile changed
                    raise TextError(_NO_HEADERS, code="not_in_alphabet")
                texts = _each_once(texts, _to_latin1)
            elif self._profile.packed:
                texts = _each_once(texts, _packed_after_header if esm_class & ESM_CLASS_UDHI else pack)
        elif data_coding == _LATIN1 and self._profile.default_alphabet == "latin1":
            data_coding = self._profile.gsm_data_coding
        template = self._template(sender, data_coding, esm_class, tlvs)
        first = texts[0]
        if all(text is first for text in texts):
            return template.bodies(digits(msisdns), first)
        return template.bodies_each(digits(msisdns), texts)

    def _template(self, sender: str, data_coding: int, esm_class: int, tlvs: bytes) -> SubmitTemplate:
        now = self._clock.monotonic()
        key = (sender, data_coding, esm_class, tlvs)
        made_at, template = self._templates.get(key, (0.0, None))
        if template is not None and now - made_at < TEMPLATE_AGE_MAX_S:
            return template
        template = self._make(sender, data_coding, esm_class, tlvs)
        self._templates[key] = (now, template)
        self._templates.move_to_end(key)
        if len(self._templates) > TEMPLATES_MAX:
            self._templates.popitem(last=False)
        return template

    def _make(self, sender: str, data_coding: int, esm_class: int, tlvs: bytes) -> SubmitTemplate:
        profile = self._profile
        source = profile.source_address(sender)
        ton, npi = profile.msisdn_ton_npi
        return SubmitTemplate(
            profile.tlvs_of(sender, tlvs) if self.with_tlvs else (),
            service_type=profile.service_type.encode("ascii"),
            source_addr_ton=source.ton,
            source_addr_npi=source.npi,
            source_addr=source.addr,
            dest_addr_ton=ton,
            dest_addr_npi=npi,
            esm_class=esm_class,
            validity_period=_validity(profile, self._clock.now()),
            registered_delivery=profile.registered_delivery,
            data_coding=data_coding,
        )


def _validity(profile: CarrierProfile, now: datetime) -> bytes:
    """Return validity_period, in the profile's form."""
    if profile.validity == "none":
        return b""
    if profile.validity == "absolute":
        return absolute_time(now + timedelta(seconds=profile.validity_s))
    return relative_time(timedelta(seconds=profile.validity_s))


def _each_once(texts: Sequence[bytes], change: Callable[[bytes], bytes]) -> list[bytes]:
    """Change each distinct text once: recipients of one offer often share one object, and still do then."""
    known: dict[bytes, bytes] = {}
    for text in texts:
        if text not in known:
            known[text] = change(text)
    return [known[text] for text in texts]


def _packed_after_header(text: bytes) -> bytes:
    cut = text[0] + 1
    return text[:cut] + pack(text[cut:], fill_bits_after(cut))


def _to_latin1(text: bytes) -> bytes:
    characters = decode_gsm(text)
    try:
        return characters.encode("latin-1")
    except UnicodeEncodeError:
        lacking = tuple(dict.fromkeys(c for c in characters if ord(c) > 0xFF))
        raise TextError(
            "this carrier's default alphabet is Latin-1, which lacks a character of the text",
            code="not_in_alphabet",
            characters=lacking,
        ) from None
