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


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "I had unsubscribed, nobody wants to get your messages again"),
        ("en", "I quit. As if I'd like to get your messages again"),
        ("en", "I'd unsubscribed, my wife doesn't want to get them again"),
        ("en", "I unsubscribed, why would I want to get your messages again"),
        ("en", "I unsubscribed! Who would want to get your texts again"),
        ("en", "I unsubscribed, I'll text you when I want to get your messages again"),
        ("en", "i unsubscribed. if i want to subscribe again i'll let you know"),
        ("en", "I opted out, stop. When I want to get them again I'll say"),
        ("en", "STOP. I unsubscribed before. Do you think I want to get your messages again"),
        ("en", "stop, I unsubscribed, and would rather die than want to get your texts again"),
        ("fr", "je me suis desabonne, si je veux les reprendre je vous dirai"),
        ("es", "me he dado de baja, si quiero volver a recibir mensajes aviso"),
        ("it", "mi sono cancellato, se voglio ricevere ancora i messaggi vi scrivo"),
        ("de", "Ich habe mich abgemeldet. Keiner will eure sms wieder haben"),
        ("de", "Ich habe mich abgemeldet, wer will die nachrichten wieder bekommen"),
        ("en", "I quit smoking, I'd love to come back to your shop"),
        ("en", "I cancelled it, but I love to come back to that restaurant"),
        ("en", "I would like to get your messages again when hell freezes over"),
        ("en", "want to get them again? never"),
        ("en", "nobody wants to get your messages again"),
        ("en", "if I want to get them again I'll tell you"),
        ("en", "I do not want to get your messages again"),
        ("fr", "personne ne veut recevoir à nouveau vos messages"),
        ("de", "wenn ich eure Angebote wieder bekommen möchte sage ich bescheid"),
        ("sv", "ingen vill få era erbjudanden igen"),
        ("en", "my brother unsubscribed but wants to get your messages again"),
        ("en", "who would want to get your texts again"),
        ("de", "Wer möchte eure Angebote wieder bekommen"),
    ],
)
def test_any_other_word_may_turn_it_and_subscribes_nobody(language: str, text: str) -> None:
    assert read_reply(text, language).label is not Label.START
