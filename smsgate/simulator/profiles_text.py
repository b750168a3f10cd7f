"""Profiles: alphabets, MO texts and what a carrier demands of submit_sm."""

from __future__ import annotations

from typing import Final

from smsgate.simulator.profile import Profile

_LONG: Final = (
    "Bonjour, je voudrais commander le disque mais je ne sais pas si mon adresse est encore la bonne, car "
    "j'ai déménagé en octobre. Pouvez-vous m'appeler demain matin, s'il vous plaît ? Merci d'avance et bonne "
    "journée à toute l'équipe, Hélène."
)
_LONG_TURKISH: Final = (
    "Şu anda iş yerindeyim, lütfen siparişi akşam saat yedide getirin. Zil çalışmıyor, kapıya gelince "
    "telefon edin. Ağabeyim de evde olabilir, ona da bırakabilirsiniz. Teşekkür ederim, iyi günler."
)
_CUT: Final = "gammu#95, #104; ofono PR#77; split-sms#1; gosmpp#175, #197, #198; smpplib#182"
_WHOLE: Final = "one text, once and whole"
_REASSEMBLY: Final = "jasmin#1257; fizzed/cloudhopper#11; jsmpp#64, #148; node-smpp#171"

MO_PROFILES: Final = (
    Profile(
        "mo-parts-shuffled",
        "Each phone answers a sender's first message with a long text whose parts come in any order.",
        _REASSEMBLY,
        _WHOLE,
        {"mo_answer": _LONG, "mo_shuffled": True},
    ),
    Profile(
        "mo-parts-over-binds",
        "The parts of a long text come on different binds.",
        _REASSEMBLY,
        _WHOLE,
        {"mo_answer": _LONG, "mo_over_binds": True},
    ),
    Profile(
        "mo-udh-16-bit",
        "Long texts have a 16-bit reference.",
        "aiosmpplib never completes them (measured)",
        _WHOLE,
        {"mo_answer": _LONG, "mo_concat": "udh16"},
    ),
    Profile(
        "mo-sar",
        "Long texts are numbered by the SAR TLVs.",
        "Jasmin's default; JamaaSMPP#27",
        _WHOLE,
        {"mo_answer": _LONG, "mo_concat": "sar"},
    ),
    Profile(
        "mo-shift-table",
        "Long Turkish texts: a single-shift element stands before the concatenation element.",
        "chan_dongle PR#182; aiosmpplib reads it as part 97 of 112 (measured)",
        _WHOLE,
        {
            "mo_answer": _LONG_TURKISH,
            "mo_alphabet": "turkish",
        },
    ),
    Profile(
        "mo-port-element-first",
        "A port element stands before the concatenation element.",
        "Jasmin needs 05 00 03 (read); aiosmpplib never completes them (measured)",
        _WHOLE,
        {"mo_answer": _LONG, "mo_concat": "port-udh8"},
    ),
    Profile(
        "mo-same-reference",
        "All phones use the same reference for their long texts at the same time.",
        "jasmin#850, #1003, #1086, #1127",
        "a key of sender, destination, reference, total and width: texts of two people never mix",
        {"mo_answer": _LONG, "mo_reference": 7, "mo_shuffled": True},
    ),
    Profile(
        "mo-cut-surrogates",
        "A part ends inside a surrogate pair.",
        _CUT,
        "join the octets before decoding",
        {"mo_answer": "Question numéro " + "0" * 50 + "😀 et merci 🎵 " * 5, "mo_cuts_pairs": True},
    ),
    Profile(
        "mo-cut-escapes",
        "A part ends between ESC and its character.",
        _CUT,
        "join the octets before decoding",
        {"mo_answer": "Question numero " + "0" * 136 + "€, est-ce le bon prix ?", "mo_cuts_pairs": True},
    ),
    Profile(
        "mo-in-payload",
        "Long texts come whole in message_payload.",
        "node-smpp#128; gosmpp#55",
        _WHOLE,
        {"mo_answer": _LONG, "mo_concat": "payload"},
    ),
    Profile(
        "udhi-in-payload",
        "The user data header stands in message_payload.",
        "gosmpp#55; JamaaSMPP#27",
        _WHOLE,
        {"mo_answer": _LONG, "mo_concat": "udh-in-payload"},
    ),
    Profile(
        "mo-forged-receipt",
        "No phone is reached, and each phone answers with the text of a receipt that says delivered.",
        "Jasmin takes it for a receipt (measured)",
        "an MO without the marks of a receipt is an MO",
        {
            "mo_answer": "id:{id} sub:001 dlvrd:001 submit date:2611261200 done date:2611261201 "
            "stat:DELIVRD err:000 text:",
            "undelivered_share": 1.0,
        },
    ),
    Profile(
        "mo-repeated",
        "Each MO comes three times, though it was answered.",
        "ruby-smpp#5; kast.ph's manual",
        "one event for one text",
        {"mo_answer": "Bonjour, est-ce encore possible ?", "mo_copies": 3},
    ),
    Profile(
        "mo-lost-on-0x64",
        "An MO comes again after 0x58, 0x08, 0x14, 0x45, 0x67, 0xFE and 0xFF; any other refusal loses it.",
        "Vonage's list; Kannel and smpp.twisted answer 0x64",
        "answer 0x14 or 0x58 when it cannot be kept now",
        {
            "mo_answer": "Bonjour, est-ce encore possible ?",
            "mo_retry_statuses": (0x58, 0x08, 0x14, 0x45, 0x67, 0xFE, 0xFF),
        },
    ),
)

TEXT_PROFILES: Final = (
    Profile(
        "latin1-default-alphabet",
        "data_coding 0 is Latin-1, both ways.",
        "naz#220; ksmppd#50; jasmin#725; node-smpp#26, #40, #133, #181; jsmpp#83; Sinch's port 9000",
        "an alphabet per carrier, both directions",
        {"alphabet": "latin1", "mo_alphabet": "latin1", "mo_answer": "Ça me plaît, où puis-je vous écrire ?"},
    ),
    Profile(
        "gsm-as-data-coding-1",
        "GSM 03.38 is marked as data_coding 1, both ways; data_coding 0 is refused.",
        "node-smpp itself; 8x8 takes 0 or 1 as GSM",
        "a data_coding of GSM per carrier, both directions",
        {"mo_alphabet": "gsm-as-1", "rules": ("gsm-as-1",), "mo_answer": "Où ? Prix en € à Paris ?"},
    ),
    Profile(
        "packed-7-bit",
        "short_message holds packed septets, both ways.",
        "go-smpp#75, PR#109; gosmpp PR#11, #136; smpplib#123; twitter/cloudhopper#62",
        "packing per carrier, both directions",
        {"alphabet": "packed", "mo_alphabet": "packed", "mo_answer": "Où ? Prix en € à Paris ?"},
    ),
    Profile(
        "udh-stripped",
        "Phones see the parts of a long text each for itself: the user data header is lost.",
        "gammu#95 (some US carriers strip it)",
        "each part can be read by itself: no pair is cut between two",
        {"strips_udh": True},
    ),
    Profile(
        "refuses-udh",
        "submit_sm with a user data header are refused with 0x43.",
        "carriers' manuals differ; JamaaSMPP#27",
        "udh8, udh16, sar or payload per carrier",
        {"rules": ("no-udh",)},
    ),
    Profile(
        "refuses-validity",
        "submit_sm with a validity_period are refused with 0x62.",
        "ksmppd#73; jasmin#1179",
        "absolute, relative or none per carrier",
        {"rules": ("no-validity",)},
    ),
    Profile(
        "vendor-tlvs-required",
        "submit_sm without the TLVs 0x1400 and 0x1401 are refused with 0xC3.",
        "jasmin#429; smpplib#204 (India: PE_ID, template)",
        "TLVs to send per carrier",
        {"rules": ("vendor-tlvs",)},
    ),
    Profile(
        "alphanumeric-ton",
        "A sender of letters needs TON 5, and only such a sender may have it; else 0x48.",
        "smppex#92; jasmin#951, #988, #1117; JamaaSMPP#5, #44",
        "TON and NPI follow from the sender's form",
        {"rules": ("alphanumeric-ton",)},
    ),
)
