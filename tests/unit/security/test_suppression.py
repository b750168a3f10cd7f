from __future__ import annotations

from smsgate.security.suppression import EVERYBODY, HASH_OCTETS, SuppressionHashes

HASHES = SuppressionHashes(bytes(range(32)))


def test_a_hash_is_of_one_merchant_one_number_and_one_instance() -> None:
    one = HASHES.of(7, 33_639_980_001)
    others = [
        HASHES.of(8, 33_639_980_001), HASHES.of(7, 33_639_980_002), HASHES.of(EVERYBODY, 33_639_980_001),
        HASHES.of(73, 3_639_980_001), SuppressionHashes(bytes(32)).of(7, 33_639_980_001),
    ]  # fmt: skip
    assert len(one) == HASH_OCTETS
    assert len({one, *others}) == 6
    assert HASHES.both(7, 33_639_980_001) == (one, HASHES.of(EVERYBODY, 33_639_980_001))
