"""What people text back to an offer, by kind and language. Plain enough for anybody to read one way only."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

Language = Literal["fr", "en", "sv"]


class ReplyKind(StrEnum):
    OK = "ok"
    QUANTITY = "quantity"
    STOP = "stop"
    QUESTION = "question"
    DECLINE = "decline"
    AUTO = "auto"  # the phone itself: a reaction button, an absence
    SILENCE = "silence"
    OTHER = "other"  # typed by hand or by a script


# "{n}" is the number of pieces, "{offer}" the offer: a reaction quotes all of it, OK and STOP too.
TEXTS: Final[dict[Language, dict[ReplyKind, tuple[str, ...]]]] = {
    "fr": {
        ReplyKind.OK: ("OK", "ok", "Ok!", "OK merci", "oui", "Oui, OK", "ok je le prends"),
        ReplyKind.QUANTITY: ("OK {n}", "ok x{n}", "Oui, {n} svp", "{n}"),
        ReplyKind.STOP: ("STOP", "stop", "Stop.", "STOP SMS", "arret", "Arrêt"),
        ReplyKind.QUESTION: (
            "C'est quel format ?",
            "Quel est le délai de livraison ?",
            "Plus d'infos svp",
            "AIDE",
        ),
        ReplyKind.DECLINE: ("non", "Non merci", "NON", "Pas interessé merci"),
        ReplyKind.AUTO: ("A aimé « {offer} »", "Je conduis, je vous réponds plus tard."),
    },
    "en": {
        ReplyKind.OK: ("OK", "ok", "Ok!", "yes", "Yes please", "ok thank you", "I'll take it"),
        ReplyKind.QUANTITY: ("OK {n}", "ok x{n}", "yes, {n} please", "{n}"),
        ReplyKind.STOP: ("STOP", "stop", "Stop.", "Stop please", "unsubscribe"),
        ReplyKind.QUESTION: (
            "What format is it?",
            "How long does delivery take?",
            "more info please",
            "HELP",
        ),
        ReplyKind.DECLINE: ("no", "No thanks", "No thank you", "not interested"),
        ReplyKind.AUTO: ("Liked “{offer}”", "I'm driving right now and will reply when I can."),
    },
    "sv": {
        ReplyKind.OK: ("OK", "ok", "Ok!", "ja", "Ja tack", "JA"),
        ReplyKind.QUANTITY: ("OK {n}", "ok x{n}", "ja, {n} tack", "{n}"),
        ReplyKind.STOP: ("STOPP", "stopp", "STOP", "Stopp tack"),
        ReplyKind.QUESTION: ("Vilket format är det?", "Hur lång är leveranstiden?", "hjälp"),
        ReplyKind.DECLINE: ("nej", "Nej tack", "nej tack!"),
        ReplyKind.AUTO: ("Gillade ”{offer}”", "Jag kör just nu och svarar senare."),
    },
}
_PREFIXES: Final[tuple[tuple[str, Language], ...]] = (("33", "fr"), ("46", "sv"))


def language_of(msisdn: int) -> Language:
    """Return the language that the phone's owner writes, guessed from the country."""
    digits = str(msisdn)
    return next((language for prefix, language in _PREFIXES if digits.startswith(prefix)), "en")
