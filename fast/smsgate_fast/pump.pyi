from collections.abc import Iterable, Mapping, Sequence
from typing import Any

def read_common(
    data: bytes,
    start: int,
    in_flight: dict[int, int],
    columns: Any,
    receipts: bool,
    length_max: int,
    states: Mapping[bytes, int],
) -> int: ...
def pack_rows(
    prefix: bytes,
    head: bytes,
    suffix: bytes,
    kinds: bytes,
    columns: Sequence[Sequence[object]],
    count: int,
    order: list[int] | None,
) -> bytes: ...
def submit_bodies(
    before: bytes, destinations: Iterable[bytes], after: bytes, texts: Iterable[bytes], tlvs: bytes
) -> list[bytes]: ...
def frames(bodies: Iterable[bytes], numbers: Iterable[int], command_id: int) -> bytes: ...
def empty_responses(numbers: Iterable[int], command_id: int, status: int) -> bytes: ...
