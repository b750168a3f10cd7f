"""`smsgate run` with its embedded database, bound to SMSCs that are not ours; tshark judges its octets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.interop.interop_gateway import (
    OTHER_SENDER,
    PHONES,
    SENDER,
    TEXT,
    Api,
    a_gateway,
    offers,
    times_offered,
)
from tests.interop.interop_peers import SMSCS, an_smsc_of
from tests.interop.interop_processes import LIMIT_S, Child, until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(LIMIT_S)]
with_every_smsc = pytest.mark.parametrize("peer", SMSCS)

ONCE_EACH = Counter(PHONES)
UDHI = 0x40  # bit of esm_class


@with_every_smsc
def test_two_hundred_offers_arrive_once_each_and_ok_becomes_an_order_and_stop_is_obeyed(
    reachable_dir: Path, peer: str
) -> None:
    with (
        an_smsc_of(peer) as smsc,
        a_gateway(reachable_dir, smsc) as gateway,
        gateway.running() as (process, shop),
    ):
        (bound,) = smsc.wait_for("bind")
        assert (bound["mode"], bound["status"]) == ("bind_transceiver", 0)
        shop.import_subscribers(PHONES)
        campaign = shop.start_campaign()
        progress = shop.wait_until_finished(campaign, delivered=200)
        assert (progress["accepted"], progress["unknown"], progress["failed"]) == (200, 0, 0)
        check_the_offers(smsc)
        check_an_order(smsc, shop)
        check_a_stop(smsc, shop)
        assert process.terminate() == 0
        assert smsc.wait_for("closed")
        assert len(smsc.seen("unbind")) == 1
        assert not smsc.seen("error")


def check_the_offers(smsc: Child) -> None:
    assert len(smsc.wait_for("deliver_answered", 200, what="receipt", status=0)) == 200
    assert times_offered(smsc) == ONCE_EACH
    assert len(smsc.seen("submit")) == 200
    for offer in offers(smsc):
        assert offer["destination"][:2] == [1, 1]
        assert (offer["data_coding"], offer["esm_class"], offer["registered_delivery"]) == (0, 0, 1)


def check_an_order(smsc: Child, shop: Api) -> None:
    buyer = PHONES[0]
    smsc.tell("mo", to=SENDER, text="OK", **{"from": buyer})
    (order,) = until(shop.orders, "an order")
    assert (order["msisdn"], order["quantity"], order["total"]) == (f"+{buyer}", 1, "19.90")
    smsc.wait_for("deliver_answered", what="mo", id="OK", status=0)
    answer = until(lambda: texts_to(smsc, buyer)[1:], "the receipt of the order")
    assert answer == [
        text for text in answer if text.startswith("Boxman: votre OK est bien recu: 1 CD Madonna")
    ]
    assert order["number"] in answer[0]
    # From a second buyer in 16-bit words: phones choose the alphabet, and some choose the long one.
    smsc.tell("mo", to=SENDER, text="OK 2", data_coding=8, **{"from": PHONES[1]})
    newest = until(lambda: shop.orders()[:-1], "a second order")
    assert [(row["msisdn"], row["quantity"]) for row in newest] == [(f"+{PHONES[1]}", 2)]
    # From a third in two parts, the last one first, with a reference of 16 bits.
    for number, text in ((2, b" 3"), (1, b"OK")):
        octets = bytes((6, 8, 4, 0x12, 0x34, 2, number)) + text
        smsc.tell("mo", to=SENDER, octets=octets.hex(), esm_class=UDHI, **{"from": PHONES[3]})
        smsc.wait_for("deliver_answered", what="mo", id=octets.hex(), status=0)
    newest = until(lambda: shop.orders()[:-2], "a third order")
    assert [(row["msisdn"], row["quantity"]) for row in newest] == [(f"+{PHONES[3]}", 3)]


def check_a_stop(smsc: Child, shop: Api) -> None:
    stopped = PHONES[2]
    smsc.tell("mo", to=SENDER, text="STOP", **{"from": stopped})
    until(lambda: shop.offers_state(stopped) == "unsubscribed", "the consent is revoked")
    until(lambda: texts_to(smsc, stopped)[1:], "STOP is confirmed")
    # From another number: a phone holds one open offer per number, so that OK means one thing.
    shop.wait_until_finished(shop.start_campaign(OTHER_SENDER), delivered=199)
    until(lambda: len(offers(smsc, OTHER_SENDER)) >= 199, "the SMSC has told of them")
    assert times_offered(smsc, OTHER_SENDER) == ONCE_EACH - Counter([stopped])


def texts_to(smsc: Child, msisdn: str) -> list[str]:
    return [seen["text"] for seen in smsc.seen("submit", status=0) if seen["destination"][2] == msisdn]


def test_sigterm_amid_a_campaign_unbinds_both_binds_and_after_restart_nothing_is_sent_twice_or_missing(
    reachable_dir: Path,
) -> None:
    with (
        an_smsc_of("npm-smpp-0.5") as smsc,
        a_gateway(reachable_dir, smsc, bind="tx+rx", rate_per_s=30) as gateway,
    ):
        with gateway.running() as (process, shop):
            smsc.wait_for("bind", 2, status=0)
            assert {bind["mode"] for bind in smsc.seen("bind")} == {"bind_transmitter", "bind_receiver"}
            shop.import_subscribers(PHONES)
            campaign = shop.start_campaign()
            # The rest takes 6 s more: a busy machine is late with the signal, and must not be too late.
            until(lambda: len(offers(smsc)) >= 20, "a part of the campaign is out")
            assert process.terminate() == 0
        smsc.wait_for("closed", 2)
        assert {unbind["mode"] for unbind in smsc.seen("unbind")} == {"bind_transmitter", "bind_receiver"}
        before = times_offered(smsc)
        assert 20 <= before.total() < 200
        with gateway.running() as (process, shop):
            progress = shop.wait_until_finished(campaign, delivered=200)
            assert (progress["accepted"], progress["unknown"]) == (200, 0)
            assert process.terminate() == 0
        with gateway.running() as (process, shop):
            # A third start finds nothing of it to do; another campaign shows that it looked.
            shop.wait_until_finished(shop.start_campaign(OTHER_SENDER), accepted=200)
            assert shop.wait_until_finished(campaign)["accepted"] == 200
            assert process.terminate() == 0
        smsc.wait_for("closed", 6)
        assert times_offered(smsc) == times_offered(smsc, OTHER_SENDER) == ONCE_EACH
        assert {submit["text"] for submit in smsc.seen("submit")} == {TEXT}


@with_every_smsc
def test_throttled_offers_are_sent_again_and_a_cut_line_never_makes_an_offer_arrive_twice(
    reachable_dir: Path, peer: str
) -> None:
    with (
        an_smsc_of(peer) as smsc,
        a_gateway(reachable_dir, smsc, rate_per_s=60) as gateway,
        gateway.running() as (process, shop),
    ):
        smsc.wait_for("bind", status=0)
        shop.import_subscribers(PHONES)
        smsc.tell("throttle", count=10)
        campaign = shop.start_campaign()
        until(lambda: len(offers(smsc)) >= 50, "a part of the campaign is out")
        assert len(smsc.seen("submit", status=0x58)) == 10
        smsc.tell("cut")
        smsc.wait_for("bind", 2, status=0)
        accepted = shop.wait_until_finished(campaign)["accepted"]
        progress = shop.wait_until_finished(campaign, delivered=accepted)
        assert accepted + progress["unknown"] == 200
        assert process.terminate() == 0
        smsc.wait_for("closed", 2)
        assert accepted <= times_offered(smsc).total() <= 200
        assert max(times_offered(smsc).values()) == 1


@with_every_smsc
def test_each_side_asks_whether_the_other_is_there_and_an_unbound_gateway_comes_back(
    reachable_dir: Path, peer: str
) -> None:
    with (
        an_smsc_of(peer) as smsc,
        a_gateway(reachable_dir, smsc, bind="tx+rx", enquire_interval_s=1.0) as gateway,
        gateway.running() as (process, _shop),
    ):
        smsc.wait_for("bind", 2, status=0)
        for session in (1, 2):
            smsc.wait_for("enquire_link", session=session)
        smsc.tell("enquire_link")
        smsc.wait_for("enquire_link_resp", 2, status=0)
        smsc.tell("unbind")
        smsc.wait_for("unbind_resp", 2, status=0)
        process.wait_for("bind_state", 4, state="bound")
        assert process.terminate() == 0
        smsc.wait_for("closed", 4)
        assert len(smsc.seen("unbind")) == 2
        assert not smsc.seen("error")
