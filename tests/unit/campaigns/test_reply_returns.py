"""Who had left and wants messages again is subscribed; who had left and wants none asks for silence."""

from __future__ import annotations

import pytest

from smsgate.campaigns.replies import Label, read_reply


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "I'd unsubscribed in May, but I'd like to get your offers again"),
        ("de", "Hatte mich abgemeldet, möchte eure Angebote aber wieder bekommen"),
        ("de", "nehmt mich doch wieder in euren Verteiler auf"),
        ("fr", "je m'étais désinscrit mais je souhaite à nouveau recevoir vos offres"),
        ("es", "me había dado de baja, pero quisiera volver a recibir las ofertas"),
        ("nl", "ik had me uitgeschreven maar wil de aanbiedingen weer ontvangen"),
        ("sv", "jag hade avanmält mig men vill få era erbjudanden igen"),
    ],
)
def test_who_had_left_and_wants_messages_again_is_subscribed(language: str, text: str) -> None:
    assert read_reply(text, language).label is Label.START


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "I had unsubscribed and do not want to get your offers again"),
        ("en", "I unsubscribed last week and you keep sending"),
        ("de", "hatte mich abgemeldet, will keine SMS wieder bekommen"),
        ("de", "nehmt mich nicht wieder in den Verteiler auf"),
        ("fr", "j'avais arrêté vos messages et vous recommencez"),
        ("es", "me había dado de baja y no quiero volver a recibir los mensajes"),
        ("nl", "ik had me afgemeld en wil geen berichten weer krijgen"),
        ("sv", "jag hade avslutat och vill inte få era sms igen"),
    ],
)
def test_who_had_left_and_wants_none_is_not(language: str, text: str) -> None:
    assert read_reply(text, language).label is Label.STOP
