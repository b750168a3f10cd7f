"""What the metrics read of a gateway that runs here."""

from __future__ import annotations

from smsgate.daemon.gateway import Gateway
from smsgate.telemetry.metrics import (
    Labels,
    Metrics,
    counts_of,
    watch_backlogs,
    watch_carriers,
    watch_flushing,
)


def watch_gateway(metrics: Metrics, gateway: Gateway) -> None:
    watch_carriers(metrics, gateway.switchboard)
    watch_flushing(metrics, gateway.flushing)
    watch_backlogs(metrics, gateway.backlogs)
    pump, intake, names = gateway.pump, gateway.intake, gateway.switchboard.names
    metrics.gauge("uncommitted", "Messages written whose outcome is not durable", lambda: pump.uncommitted)
    metrics.counter("submitted", "submit_sm written", lambda: pump.submitted)
    metrics.counter(
        "routed",
        "submit_sm written, by rule and carrier",
        lambda: {(route, names[id_]): count for (route, id_), count in pump.routed.items()},
        "route",
        "carrier",
    )
    metrics.counter(
        "rerouted",
        "Messages that another carrier took over",
        lambda: {(names[a], names[b], why): n for (a, b, why), n in gateway.rerouting.moved.items()},
        "from",
        "to",
        "why",
    )
    metrics.counter("inbound", "MOs committed", lambda: intake.taken)
    metrics.counter("inbound_repeated", "MOs that a carrier delivered again", lambda: intake.repeated)
    metrics.counter(
        "inbound_turned_away", "MOs that the carrier was told to keep", lambda: intake.turned_away
    )
    metrics.gauge("inbound_backlog", "MOs that wait for their transaction", intake.backlog)
    metrics.counter(
        "inbound_outcomes",
        "What MOs came to",
        lambda: {(outcome,): count for outcome, count in intake.outcomes.items()},
        "outcome",
    )
    metrics.counter("receipts", "What receipts came to", lambda: _receipts(gateway), "outcome")


def _receipts(gateway: Gateway) -> dict[Labels, float]:
    counts = {**counts_of(gateway.outcomes.receipt_counts), "resolved": float(gateway.receipts_resolved)}
    return {(outcome,): count for outcome, count in counts.items()}
