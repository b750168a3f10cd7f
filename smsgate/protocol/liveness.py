"""Whether the peer still lives: it was heard, it was asked, it answered. Source: SMPP 3.4 §4.11, §7.2."""

from __future__ import annotations


class Liveness:
    """One session's enquire_link; `deadline` and `due` are asked while it is bound or leaves."""

    def __init__(self, enquire_interval_s: float, response_timeout_s: float) -> None:
        self._interval_s = enquire_interval_s
        self._timeout_s = response_timeout_s
        self._heard_at = 0.0
        self._enquiry: tuple[int, float] | None = None  # sequence_number, sent at
        self.missed = 0  # enquiries without answer, though other octets came

    def heard(self, now: float) -> None:
        self._heard_at = now

    def asked(self, number: int, now: float) -> None:
        self._enquiry = (number, now)

    def answered(self, number: int) -> bool:
        """Take a response; True when it answers the open enquiry."""
        if self._enquiry is None or number != self._enquiry[0]:
            return False
        self._enquiry = None
        return True

    def forget(self) -> None:
        self._enquiry = None

    def deadline(self, *, asks: bool) -> float | None:
        """Return when the open enquiry is late, or when the next one is due if the session `asks`."""
        if self._enquiry is not None:
            return self._enquiry[1] + self._timeout_s
        return self._heard_at + self._interval_s if asks else None

    def is_silent(self, now: float) -> bool:
        """Return whether nothing at all came since the enquiry that is late; forget one that is only lost."""
        if self._enquiry is None or now < self._enquiry[1] + self._timeout_s:
            return False
        if self._heard_at <= self._enquiry[1]:
            return True
        self._enquiry = None
        self.missed += 1
        return False

    def must_ask(self, now: float) -> bool:
        return self._enquiry is None and now >= self._heard_at + self._interval_s
