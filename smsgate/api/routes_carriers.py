"""The operator's carriers: their binds, and drained, stopped and started while the process runs."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from smsgate.api.models import AnswerModel, Instant
from smsgate.api.problems import ProblemType
from smsgate.api.routing import Answer, Call, Route
from smsgate.errors import Conflict
from smsgate.flows.ports import Carrier as CarrierPort
from smsgate.security.api_keys import Scope


class Bind(AnswerModel):
    bind: str
    host: str
    state: str
    since: Instant
    window_used: int
    window_max: int
    last_error: str


class Carrier(AnswerModel):
    name: str
    state: str = Field(description="running, draining or stopped.")
    rate_per_s: int = Field(description="Segments a second.")
    in_flight: int
    receipt_ids: str = Field(
        description="How the ids of receipts are compared with those of responses: `as_is`, `hex_to_dec` or "
        "`dec_to_hex`; with `, learned` when the first receipts showed it."
    )
    binds: list[Bind]


class Carriers(AnswerModel):
    data: list[Carrier]


async def list_carriers(call: Call) -> Answer:
    return Carriers(data=[_carrier(call, carrier) for carrier in call.context.carriers])


async def drain_carrier(call: Call) -> Answer:
    return await _operate(call, "drain")


async def stop_carrier(call: Call) -> Answer:
    return await _operate(call, "stop")


async def start_carrier(call: Call) -> Answer:
    return await _operate(call, "start")


async def _operate(call: Call, action: str) -> Answer:
    desk, name = call.context.carrier_desk, call.path_text("name")
    if desk is None:
        raise Conflict("This process has no carriers: ask the one with the role gateway.")
    await desk.operate(name, action)
    (carrier,) = [carrier for carrier in call.context.carriers if carrier.name == name]
    return _carrier(call, carrier)


def _carrier(call: Call, carrier: CarrierPort) -> Carrier:
    desk = call.context.carrier_desk
    binds = [
        Bind(
            bind=bind.bind,
            host=bind.host,
            state=bind.state,
            since=bind.since,
            window_used=bind.window_used,
            window_max=bind.window_max,
            last_error=bind.last_error,
        )
        for bind in carrier.binds()
    ]
    return Carrier(
        name=carrier.name,
        state="running" if desk is None else desk.state(carrier.name),
        rate_per_s=carrier.rate_per_s,
        in_flight=carrier.in_flight(),
        receipt_ids=str(carrier.receipt_ids),
        binds=binds,
    )


_OPERATOR: Final = Scope.OPERATOR

PROBLEMS: Final[tuple[ProblemType, ...]] = ()

ROUTES: Final = (
    Route("GET", "/v1/carriers", list_carriers, "List carriers and the state of their binds", _OPERATOR,
          response=Carriers),
    Route("POST", "/v1/carriers/{name}/drain", drain_carrier, "Submit nothing more by a carrier; stay bound",
          _OPERATOR, response=Carrier, errors=("conflict",)),
    Route("POST", "/v1/carriers/{name}/stop", stop_carrier, "Leave a carrier in order", _OPERATOR,
          response=Carrier, errors=("conflict",)),
    Route("POST", "/v1/carriers/{name}/start", start_carrier, "Have a drained or stopped carrier work again",
          _OPERATOR, response=Carrier, errors=("conflict",)),
)  # fmt: skip
