"""Limits of deliveries, apart from what they limit: each command line reads the configuration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    concurrency: int = 64  # requests at once: 64 x ~150 KiB of buffers and objects
    per_host: int = 8
    per_host_per_s: int = 20
    poll_s: float = 1.0  # an event of another process is seen within this
