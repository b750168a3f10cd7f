"""Make an offer: what the merchant asked for, checked, and frozen as its first version."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final

from smsgate.campaigns.offers import PRICE_MINOR_MAX, QUANTITY_MAX, Facts, Finding, lint, lint_sender
from smsgate.campaigns.rendering import TEXT_CHARACTERS_MAX, compile_text, field_names
from smsgate.campaigns.texts import FIELD_CHARACTERS_MAX
from smsgate.clock import Clock
from smsgate.errors import DomainError, Invalid, TextError
from smsgate.flows.commerce_records import MerchantProfile, Page, PageAsk
from smsgate.flows.offer_records import OfferDraft, OfferRecord
from smsgate.flows.order_texts import price_text
from smsgate.flows.ports import Ids
from smsgate.flows.ports_commerce import TLV_REFUSAL, OffersStore, SenderInfo, check_tlvs, refused_tags
from smsgate.flows.records import OfferVersion
from smsgate.money import check_currency
from smsgate.protocol.encodings import GSM, UCS2, Alphabet
from smsgate.protocol.replacements import Replaced, replace_for_segment
from smsgate.protocol.tlvs import Tlvs, encode_tlvs

LIFE_MIN: Final = timedelta(minutes=30)  # a shorter one would reach people when it is nearly over
LIFE_MAX: Final = timedelta(days=366)
STOCK_MAX: Final = 1_000_000_000  # pieces; above any shop's, far below bigint
NAME_CHARACTERS_MAX: Final = 60  # shop and item: both stand in one SMS
TEXTS_KEPT: Final = 2_000  # judged, for the next webhook with the same text: a kilobyte or two each
_LANGUAGE: Final = re.compile(r"[a-z]{2}")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")


class Offers:
    def __init__(self, store: OffersStore, ids: Ids, clock: Clock, senders: Mapping[str, SenderInfo]) -> None:
        self._store = store
        self._ids = ids
        self._clock = clock
        self._senders = senders

    async def create(self, merchant_id: int, draft: OfferDraft) -> OfferRecord:
        """
        Check and store an offer.

        Raises:
            DomainError: what `check` says.
            Conflict: code `external_id_taken`.
        """
        record = self.check(await self._store.merchant(merchant_id), draft, self._clock.now())
        await self._store.create(record)
        return record

    async def get(self, merchant_id: int, offer_id: int) -> OfferRecord:
        return await self._store.get(merchant_id, offer_id)

    async def page(self, merchant_id: int, ask: PageAsk, external_id: str | None = None) -> Page[OfferRecord]:
        return await self._store.page(merchant_id, ask, external_id)

    def check_recipients(
        self, merchant: MerchantProfile, offer: OfferVersion, countries: Collection[str]
    ) -> None:
        """
        Refuse what may not go to these countries by the rules of today, which may have become stricter.

        Raises:
            DomainError: as `check`; each of `extra["errors"]` names the `country` whose rule it is.
        """
        findings = self.recipients_findings(merchant, offer, countries)
        if findings:
            raise _refusal(findings, Replaced(offer.text, (), ()))

    def recipients_findings(
        self, merchant: MerchantProfile, offer: OfferVersion, countries: Collection[str]
    ) -> list[Finding]:
        """Return what keeps a text from going to these countries, and to the offer's own, today."""
        now, found = self._clock.now(), list[Finding]()
        for country in sorted({offer.country, *filter(None, countries)}):
            for finding in self._findings(merchant, replace(offer, country=country), now):
                if not any(replace(known, country="") == finding for known in found):
                    found.append(replace(finding, country=country))
        return found

    def sender(self, number: str) -> SenderInfo | None:
        """Return what the configuration says of a sender number now; None: it is not ours."""
        return self._senders.get(number)

    def check(self, merchant: MerchantProfile, draft: OfferDraft, now: datetime) -> OfferRecord:
        """
        Return the offer as it would be stored, with a new id.

        Raises:
            DomainError: code `text_too_long`, `charset_ucs2`, `mandatory_info_missing`,
                `withdrawal_mismatch`, `sender_not_reply_capable`, `sender_not_allowed` or `sender_unknown`;
                `extra["errors"]` has every finding.
            Invalid: a value is out of its range.
        """
        replaced = Replaced(draft.text, (), ())
        if draft.replace:
            replaced = replace_for_segment(draft.text, self.alphabets(draft.sender))
        offer = self._version(merchant, draft, replaced.text)
        _check_values(offer, draft.stock, now)
        if findings := self._findings(merchant, offer, now):
            raise _refusal(findings, replace_for_segment(offer.text, self.alphabets(offer.sender)))
        return OfferRecord(
            offer, draft.external_id, draft.stock, draft.stock, now, replacements=replaced.replacements
        )

    async def findings(self, merchant_id: int, draft: OfferDraft) -> tuple[OfferVersion, Sequence[Finding]]:
        """
        Return the offer as it was written, and everything that would keep it from being stored.

        Raises:
            Invalid: a value is out of its range.
        """
        merchant = await self._store.merchant(merchant_id)
        offer, now = self._version(merchant, draft, draft.text), self._clock.now()
        _check_values(offer, draft.stock, now)
        return offer, self._findings(merchant, offer, now)

    async def check_asking(self, merchant_id: int, sender: str, pointer: str) -> MerchantProfile:
        """
        Return the merchant, who may put a question from this number and hear the answer.

        Raises:
            Invalid: code `sender_unknown` or `sender_not_reply_capable`, at `pointer`.
        """
        merchant = await self._store.merchant(merchant_id)
        for finding in self._sender_findings(sender, merchant):
            raise Invalid(finding.message, code=finding.code, pointer=pointer)
        return merchant

    def check_tlvs(self, tlvs: Tlvs, sender: str) -> None:
        """
        Refuse TLVs that no offer from this sender may bring.

        Raises:
            Invalid: code `tlv_not_allowed`.
        """
        check_tlvs(tlvs, self._senders.get(sender))

    def alphabets(self, sender: str) -> tuple[Alphabet, ...]:
        """Return what the carrier of a sender number takes; GSM 03.38 and UCS-2 for one that is not ours."""
        info = self._senders.get(sender)
        return (GSM, UCS2) if info is None else info.alphabets

    def _version(self, merchant: MerchantProfile, draft: OfferDraft, text: str) -> OfferVersion:
        return OfferVersion(
            merchant_id=merchant.merchant_id,
            offer_id=self._ids.next(),
            version=1,
            text=text,
            shop_name=draft.shop_name or merchant.name,
            item=draft.item,
            unit_price_minor=draft.unit_price_minor,
            currency=check_currency(draft.currency or merchant.currency),
            quantity_max=draft.quantity_max,
            language=draft.language or merchant.language,
            country=draft.country or merchant.country,
            sender=draft.sender,
            expires_at=draft.expires_at,
            sender_pool=tuple(dict.fromkeys(draft.sender_pool)),
            ask_above_minor=draft.ask_above_minor,
            withdrawal=draft.withdrawal,
            tlvs=encode_tlvs(draft.tlvs),
            terms=draft.terms,
        )

    def _findings(self, merchant: MerchantProfile, offer: OfferVersion, now: datetime) -> list[Finding]:
        pool = [
            replace(finding, pointer=f"/sender_pool/{place}")
            for place, sender in enumerate(offer.sender_pool)
            for finding in (
                *self._sender_findings(sender, merchant),
                *lint_sender(sender, offer.country, on=now.date()),
                *self._tlv_findings(sender, offer),
            )
        ]
        found = [
            *self._sender_findings(offer.sender, merchant),
            *pool,
            *self._tlv_findings(offer.sender, offer),
        ]
        return [*found, *self._text_findings(offer, now)]

    def _tlv_findings(self, sender: str, offer: OfferVersion) -> list[Finding]:
        return [
            Finding("tlv_not_allowed", f"0x{tag:04x}", TLV_REFUSAL.format(tag), pointer="/tlvs")
            for tag in refused_tags(offer.tlvs, self._senders.get(sender))
        ]

    def _sender_findings(self, sender: str, merchant: MerchantProfile) -> list[Finding]:
        info = self._senders.get(sender)
        if info is None or not info.allows(merchant.slug):
            # One sentence for both: which numbers other merchants have is nobody's business.
            message = f"{sender!r} is not one of your sender numbers"
            return [Finding("sender_unknown", sender, message, pointer="/sender")]
        if not info.receives:
            message = f"{sender} cannot receive, so nobody could answer OK"
            return [Finding("sender_not_reply_capable", sender, message, pointer="/sender")]
        if sender in merchant.esme_numbers:
            message = f"answers to {sender} go to your application, so an OK would order nothing"
            return [Finding("sender_not_reply_capable", sender, message, pointer="/sender")]
        return []

    def _text_findings(self, offer: OfferVersion, now: datetime) -> Sequence[Finding]:
        return text_findings(
            offer.text,
            offer.shop_name,
            offer.item,
            offer.unit_price_minor,
            offer.currency,
            offer.country,
            offer.sender,
            now.date(),
            self.alphabets(offer.sender),
            offer.withdrawal,
        )


@lru_cache(TEXTS_KEPT)
def text_findings(
    text: str,
    shop: str,
    item: str,
    price_minor: int,
    currency: str,
    country: str,
    sender: str,
    on: date,
    alphabets: tuple[Alphabet, ...],
    withdrawal: bool,  # part of what is looked up by
) -> Sequence[Finding]:
    """
    Return what is wrong with an offer's text on a day, from the linter or the renderer.

    A shop's webhooks bring one text again and again, each for another customer.
    """
    facts = Facts(shop, item, price_minor, currency, withdrawal=withdrawal)
    findings = lint(text, facts, country, sender, on=on, alphabets=alphabets)
    if findings:
        return tuple(findings)
    try:
        compile_text(text, field_names(text), alphabets)
    except TextError as exc:
        return (Finding(exc.code, "".join(exc.characters), str(exc)),)
    return ()


def _check_values(offer: OfferVersion, stock: int | None, now: datetime) -> None:
    life = offer.expires_at - now
    checks = (
        (len(offer.text) <= TEXT_CHARACTERS_MAX, "text", f"at most {TEXT_CHARACTERS_MAX} characters"),
        (_is_name(offer.shop_name), "shop_name", f"1 to {NAME_CHARACTERS_MAX} characters"),
        (_is_name(offer.item), "item", f"1 to {NAME_CHARACTERS_MAX} characters"),
        (0 < offer.unit_price_minor <= PRICE_MINOR_MAX, "price", "above zero and at most a million"),
        (1 <= offer.quantity_max <= QUANTITY_MAX, "quantity_max", f"1 to {QUANTITY_MAX}"),
        (stock is None or 0 < stock <= STOCK_MAX, "stock", f"1 to {STOCK_MAX}"),
        (_LANGUAGE.fullmatch(offer.language), "language", "an ISO 639-1 code such as fr"),
        (_COUNTRY.fullmatch(offer.country), "country", "an ISO 3166 code such as FR"),
    )
    for holds, name, range_ in checks:
        if not holds:
            raise Invalid(f"{name} must be {range_}", pointer=f"/{name}")
    total = price_text(offer.unit_price_minor * offer.quantity_max, offer.currency, offer.language)
    if len(total) > FIELD_CHARACTERS_MAX["total"]:
        raise Invalid(
            f"quantity_max must be less: {total} is too long for the texts that say what an order costs",
            pointer="/quantity_max",
        )
    if not LIFE_MIN <= life <= LIFE_MAX:
        raise Invalid(
            "expires_at must be at least 30 minutes and at most 366 days ahead",
            code="expires_at_invalid",
            pointer="/expires_at",
        )


def _is_name(text: str) -> bool:
    return 0 < len(text.strip()) <= NAME_CHARACTERS_MAX and text.isprintable()


def _said(finding: Finding) -> str:
    """Return the sentence, and what it is about where it does not say so itself."""
    said = finding.message if finding.what in finding.message else f"{finding.what}: {finding.message}"
    return f"to {finding.country}: {said}" if finding.country else said


def _refusal(findings: Sequence[Finding], replaced: Replaced) -> DomainError:
    """Return one refusal with all findings: who mends a text should not have to come back five times."""
    first = findings[0]
    same = [finding for finding in findings if finding.code == first.code]
    detail = "; ".join(_said(finding) for finding in same)
    errors = [{"detail": finding.message, **asdict(finding)} for finding in findings]
    for error in errors:
        del error["message"]
        if not error["country"]:
            del error["country"]
    extra: dict[str, object] = {"errors": errors}
    if replaced.replacements:
        extra["replacements"] = [each._asdict() for each in replaced.replacements]
        extra["replaced_text"] = replaced.text
    return DomainError(detail, code=first.code, pointer=first.pointer, extra=extra)
