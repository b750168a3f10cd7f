"""Profiles: message ids and receipts."""

from __future__ import annotations

from typing import Final

from smsgate.protocol.commands import Status
from smsgate.protocol.receipt_states import ReceiptState
from smsgate.protocol.tlvs import Tag
from smsgate.simulator.profile import Profile

_HEX_ISSUES: Final = (
    "jasmin#20, #24, #210, #535; elibom/mokai#8; MavoCz/smscsim#4; telenordigital/sms-smpp#153"
)
_OPAQUE: Final = "take ids as opaque octets of up to 65"
_FOUR_PATHS: Final = "one reader for all places where a receipt can stand"
_PLACES: Final = "jasmin#92, #139, #470; node-smpp#116, #140; gosmpp#55; vumi PR#330, PR#872; smppex PR#66"

ID_PROFILES: Final = (
    Profile(
        "ids-hex-in-response",
        "Message ids are hexadecimal in submit_sm_resp and decimal in receipts.",
        _HEX_ISSUES,
        "compare ids by carrier and normal form; learn or be told the form",
        {"message_id_form": "hex", "receipt_id_form": "decimal", "receipt_parts": "text"},
    ),
    Profile(
        "ids-decimal-in-response",
        "Message ids are decimal in submit_sm_resp and hexadecimal in receipts.",
        "uudashr/jsmpp#56; opentelecoms/jsmpp#56; telenordigital/sms-smpp#155",
        "compare ids by carrier and normal form; learn or be told the form",
        {"message_id_form": "decimal", "receipt_id_form": "hex", "receipt_parts": "text"},
    ),
    Profile(
        "ids-zero-padded",
        "Message ids have 16 hexadecimal digits in submit_sm_resp and 20 decimal ones in receipts.",
        "jasmin#586 (16 hex digits against 19 decimal), #643 (leading zeros)",
        "leading zeros do not count in a number",
        {"message_id_form": "hex-16", "receipt_id_form": "decimal-20", "receipt_parts": "text"},
    ),
    Profile(
        "ids-upper-case",
        "Message ids are lower-case hexadecimal in submit_sm_resp and upper-case in receipts.",
        "jasmin#418, #916",
        "the case of hexadecimal digits does not count",
        {"message_id_form": "hex", "receipt_id_form": "hex-upper", "receipt_parts": "text"},
    ),
    Profile(
        "ids-both-forms",
        "One receipt holds the id in hexadecimal in its TLV and in decimal in its text.",
        "cloudhopper's test suite, a captured receipt (text 59113978, TLV 38601fa)",
        "try the TLV first and the text second",
        {"message_id_form": "decimal", "receipt_id_form": "decimal", "tlv_id_form": "hex"},
    ),
    Profile(
        "ids-64-characters",
        "Message ids have 64 characters.",
        "SMPP 3.4 §5.2.23; Jasmin's tests; kneodev/ksmppd#63",
        _OPAQUE,
        {"message_id_form": "opaque-64"},
    ),
    Profile(
        "ids-with-dashes",
        "Message ids hold letters, digits and dashes.",
        "Jasmin's tests; kneodev/ksmppd#63",
        _OPAQUE,
        {"message_id_form": "dashes", "receipt_parts": "text"},
    ),
    Profile(
        "ids-with-underscores",
        "Message ids hold underscores, which decoded as GSM 03.38 turn into section signs.",
        "measured with an SMSC that leaves data_coding 0 in receipts",
        "read receipts as raw octets, whatever data_coding says",
        {"message_id_form": "underscores", "receipt_parts": "text"},
    ),
    Profile(
        "ids-empty",
        "Message ids are empty, in submit_sm_resp and in receipts.",
        "RestComm/Restcomm-Connect#2963",
        "an empty id matches nothing and breaks nothing; the receipt is answered",
        {"message_id_form": "empty"},
    ),
    Profile(
        "ids-reused",
        "The same 16 message ids come again and again.",
        "kneodev/ksmppd#63",
        "the newest open message wins",
        {"id_cycle": 16},
    ),
    Profile(
        "ids-lost",
        "A third of the accepting submit_sm_resp have no body, hence no message id.",
        "gosmpp#113; Rusmpp's own tests",
        "the message counts as accepted and its receipt as unmatched",
        {"id_lost_share": 0.33},
    ),
)

RECEIPT_PROFILES: Final = (
    Profile(
        "receipt-before-response",
        "The receipt leaves 0.3 s before the submit_sm_resp.",
        "inetlab documentation; jasmin#616, #763",
        "keep receipts that match nothing and match them when the response comes",
        {"receipt_lead_s": 0.3},
    ),
    Profile(
        "receipt-on-another-bind",
        "Receipts come on another bind of the account than the one that submitted.",
        "inetlab documentation; jasmin#763",
        "match by carrier and id, never by bind",
        {"receipt_other_bind": True, "receipt_delay_s": (0.05, 0.05)},
    ),
    Profile(
        "receipt-for-refused",
        "A third of the messages are refused with 0x45 and get a receipt all the same.",
        "kneodev/ksmppd#111",
        "answer it, count it as unmatched, raise no alarm",
        {"refuse_share": 0.33, "refuse_status": int(Status.SUBMITFAIL), "receipt_for_refused": True},
    ),
    Profile(
        "receipt-text-only",
        "Receipts have no receipted_message_id and no message_state.",
        "Jasmin's tests; node-smpp#199",
        "parse the text",
        {"receipt_parts": "text"},
    ),
    Profile(
        "receipt-tlv-only",
        "Receipts have TLVs and an empty text.",
        _PLACES,
        _FOUR_PATHS,
        {"receipt_parts": "tlvs"},
    ),
    Profile(
        "receipt-esm-class-0",
        "Receipts have esm_class 0, and TLVs.",
        "node-smpp#116; vumi PR#330",
        "TLVs that only an SMSC can set make it a receipt",
        {"receipt_esm_class": 0},
    ),
    Profile(
        "receipt-marked-by-nothing",
        "Receipts have esm_class 0 and no TLV: only their text tells.",
        "jasmin#92, #139; node-smpp#140",
        "take such texts as receipts only where the carrier's configuration says so",
        {"receipt_esm_class": 0, "receipt_parts": "text"},
    ),
    Profile(
        "receipt-data-sm",
        "Receipts come as data_sm.",
        _PLACES,
        _FOUR_PATHS,
        {"receipt_place": "data_sm"},
    ),
    Profile(
        "receipt-in-payload",
        "The receipt's text stands in message_payload and short_message is empty.",
        _PLACES,
        _FOUR_PATHS,
        {"receipt_place": "message_payload", "receipt_parts": "text"},
    ),
    Profile(
        "receipt-dialects",
        "Texts in the field's dialects, in turn: other orders, dates of 10, 12 or 14 digits or none.",
        "jsmpp#62; uudashr#67; twitter/cloudhopper#40, #42, #105; php-smpp#4, #29, #70; naz#82; jasmin#224",
        "find id: and stat: wherever they stand; dates are no reason to refuse",
        {
            "receipt_parts": "text",
            "receipt_texts": (
                "id:{id} sub:001 dlvrd:{dlvrd} submit date:{d12} done date:{d12} stat:{stat} err:{err} text:",
                "id:{id} sub:001 dlvrd:{dlvrd} submit date:{c12} done date:{c12} stat:{stat} err:{err} text:",
                "id:{id} sub:001 dlvrd:{dlvrd} submit date:{d14} done date:{d14} stat:{stat} err:{err}",
                "id:{id} stat:{stat} err:{err}",
                "stat:{stat} id:{id} done date:{d10} submit date:{d10} err:{err} sub:001 dlvrd:{dlvrd}",
                "ID:{id} SUB:001 DLVRD:{dlvrd} SUBMIT DATE:{d10} DONE DATE:{d10} STAT:{stat} ERR:{err} TEXT:",
                "id:{id} submit date:{d10} done date:{d10} stat:{stat} err:0x0B",
                "id:{id} sub:1 dlvrd:1 submit date:{d10} done date:{d10} stat:{stat} err:EC.7",
                "id:{id} sub:001 dlvrd:{dlvrd} submit_date:{d12} done_date:{d12} stat:{stat} err:{err} text:",
            ),
        },
    ),
    Profile(
        "receipt-nul-and-high-octets",
        "The text ends in octets above 0x7F and a NUL, message_state is 0, network_error_code is ASCII.",
        "jasmin#937 and its tests; cloudhopper's suite",
        "take the state from the text; drop what is no text",
        {
            "receipt_tail": b"caf\xe9 \xff\xfe\x00",
            "receipt_tlvs": ((Tag.MESSAGE_STATE, b"\x00"), (Tag.NETWORK_ERROR_CODE, b"000")),
        },
    ),
    Profile(
        "receipt-intermediate-states",
        "ENROUTE and ACCEPTD come before the final state.",
        "RestComm/smscgateway#77",
        "wait for the final state; answer all",
        {"receipt_states_before": (int(ReceiptState.ENROUTE), int(ReceiptState.ACCEPTD))},
    ),
    Profile(
        "receipts-out-of-order",
        "ACCEPTD and ENROUTE come after the final state.",
        "RestComm/smscgateway#77",
        "a final state never goes back",
        {
            "receipt_states_after": (int(ReceiptState.ACCEPTD), int(ReceiptState.ENROUTE)),
            "undelivered_share": 0.5,
        },
    ),
    Profile(
        "receipts-repeated",
        "Each receipt comes four times.",
        "ruby-smpp#5; kast.ph's manual",
        "answer all; the same receipt twice changes nothing",
        {"receipt_copies": 4},
    ),
)
