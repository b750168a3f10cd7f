"""What a short text says is found out once, and a long one is not kept."""

from __future__ import annotations

from smsgate.campaigns.short_texts import SHORT_MAX, TEXTS_KEPT, once_if_short

SHORT, LONG = "x" * SHORT_MAX, "x" * (SHORT_MAX + 1)


def test_a_short_text_is_read_once_with_the_same_arguments_and_a_long_one_each_time() -> None:
    read: list[tuple[str, str]] = []

    @once_if_short
    def answer(text: str, language: str = "en") -> str:
        read.append((text, language))
        return f"{language}: {text}"

    assert [answer(SHORT), answer(SHORT), answer(SHORT, "fr")] == [f"en: {SHORT}"] * 2 + [f"fr: {SHORT}"]
    assert read == [(SHORT, "en"), (SHORT, "fr")]
    assert [answer(LONG), answer(LONG)] == [f"en: {LONG}"] * 2
    assert read[2:] == [(LONG, "en")] * 2


def test_no_more_than_so_many_texts_are_kept() -> None:
    read: list[str] = []

    @once_if_short
    def answer(text: str) -> str:
        read.append(text)
        return text

    for nth in range(TEXTS_KEPT + 1):
        answer(str(nth))
    answer("0")
    assert read.count("0") == 2
    answer(str(TEXTS_KEPT))
    assert len(read) == TEXTS_KEPT + 2
