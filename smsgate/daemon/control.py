"""
What an operator on this machine asks the running gateway, over a socket file in the state directory.

Whoever may open the socket (mode 0600, so the gateway's user and root) is the operator: no key is needed at
night. It gives what no network may have, such as the octets of the last PDUs.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import aiohttp
import orjson
from aiohttp import web

from smsgate.daemon.reloading import ACTIONS, Reloading
from smsgate.errors import ConfigError, Conflict, LinkError, NotFound, SmsgateError
from smsgate.flows.ports_esmes import EsmeSessions
from smsgate.links.carrier import CarrierAccount
from smsgate.links.switchboard import Switchboard
from smsgate.protocol.pcap import MEDIA_TYPE, TracedPdu, pcap_octets
from smsgate.protocol.pdu_masking import masked

SOCKET_NAME: Final = "gateway.sock"
LOCK_NAME: Final = "gateway.sock.lock"
SOCKET_MODE: Final = 0o600
SOCKET_PATH_OCTETS_MAX: Final = 100  # of sockaddr_un's 108, which long directories exceed
TIMEOUT: Final = aiohttp.ClientTimeout(total=30.0)  # a trace of many MB is made in one go
_REMOVE_ALL_CARRIERS: Final = "remove_all_carriers"
_PDUS: Final = "Smsgate-Pdus"  # how many a capture file holds
_ESMES: Final = web.AppKey("esmes", EsmeSessions)
_SWITCHBOARD: Final = web.AppKey("switchboard", Switchboard)
_RELOADING: Final = web.AppKey("reloading", Reloading)


@contextmanager
def _socket_path(state_dir: Path) -> Iterator[str]:
    """Yield a path of the socket that is short enough for the kernel, however deep the directory is."""
    path = str(state_dir.absolute() / SOCKET_NAME)
    if len(os.fsencode(path)) <= SOCKET_PATH_OCTETS_MAX or not sys.platform.startswith("linux"):
        yield path
        return
    directory = os.open(state_dir, os.O_PATH)
    try:
        yield f"/proc/self/fd/{directory}/{SOCKET_NAME}"
    finally:
        os.close(directory)


# The gateway's side


@contextmanager
def _own_socket(state_dir: Path) -> Iterator[None]:
    """Hold the socket's lock: the kernel drops it when its holder dies, and what lies there is nobody's."""
    with (state_dir / LOCK_NAME).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise OSError(
                f"another gateway process answers on {state_dir / SOCKET_NAME}: `smsgate reload` and "
                "`smsgate carrier` reach that one, SIGHUP this one; give each gateway a state_dir of its own"
            ) from exc
        (state_dir / SOCKET_NAME).unlink(missing_ok=True)
        try:
            yield
        finally:
            (state_dir / SOCKET_NAME).unlink(missing_ok=True)


@asynccontextmanager
async def control_socket(
    state_dir: Path, switchboard: Switchboard | None, esmes: EsmeSessions | None, reloading: Reloading
) -> AsyncIterator[None]:
    """
    Answer on the control socket, as long as no other gateway process answers there.

    Raises:
        OSError: another one does, or the directory takes no socket.
    """
    app = web.Application()
    if switchboard is not None:
        app[_SWITCHBOARD] = switchboard
    app[_RELOADING] = reloading
    app.add_routes([web.get("/carriers", _carriers), web.get("/carriers/{name}/trace", _trace)])
    app.add_routes([web.post("/reload", _reload), web.post("/carriers/{name}/{action}", _operate)])
    if esmes is not None:
        app[_ESMES] = esmes
        app.add_routes([web.get("/esmes", _esmes)])
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    with _own_socket(state_dir):
        await runner.setup()
        before = os.umask(0o777 & ~SOCKET_MODE)
        try:
            with _socket_path(state_dir) as path:
                await web.UnixSite(runner, path).start()
        finally:
            os.umask(before)
        try:
            yield
        finally:
            await runner.cleanup()


async def _carriers(request: web.Request) -> web.Response:
    switchboard = request.app.get(_SWITCHBOARD)  # none: no carrier is configured
    if switchboard is None:
        return web.json_response({"data": []})
    shown = [_shown(carrier, switchboard.state(carrier.name)) for carrier in switchboard]
    return web.json_response({"data": shown})


async def _reload(request: web.Request) -> web.Response:
    try:
        reloading, remove_all = request.app[_RELOADING], _REMOVE_ALL_CARRIERS in request.query
        return web.json_response(await reloading.reload(remove_all_carriers=remove_all))
    except SmsgateError as exc:
        return _refusal(exc)


async def _operate(request: web.Request) -> web.Response:
    name, action = request.match_info["name"], request.match_info["action"]
    if action not in ACTIONS:
        return _problem(f"a carrier can {', '.join(ACTIONS)}, not {action}")
    try:
        state = await request.app[_RELOADING].operate(name, action)
    except SmsgateError as exc:
        return _refusal(exc)
    return web.json_response({"name": name, "state": state})


def _refusal(exc: SmsgateError) -> web.Response:
    where, mend = (exc.where, exc.mend) if isinstance(exc, ConfigError) else ("", "")
    return web.json_response(
        {"detail": str(exc), "where": where, "mend": mend},
        status=422 if isinstance(exc, ConfigError) else exc.http_status,
    )


async def _esmes(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "data": [
                {
                    "system_id": session.system_id,
                    "bind": session.kind,
                    "peer": session.peer,
                    "interface_version": session.version,
                    "since": session.since.isoformat(),
                    "submits": session.submits,
                    "refused": session.refused,
                    "delivered": session.delivered,
                    "window_used": session.window_used,
                    "window_max": session.window_max,
                }
                for session in request.app[_ESMES].sessions()
            ]
        }
    )


async def _trace(request: web.Request) -> web.Response:
    """Answer with a capture file; `bind` chooses one bind, `texts` and `numbers` leave those uncovered."""
    name, query = request.match_info["name"], request.query
    switchboard = request.app.get(_SWITCHBOARD)
    carrier = None if switchboard is None else switchboard.by_name(name)
    if carrier is None:
        return _problem(f"no carrier is called {name}")
    binds = [bind.bind for bind in carrier.binds()]
    bind = query.get("bind")
    if bind is not None and bind not in binds:
        return _problem(f"carrier {name} has no bind {bind}: it has {', '.join(binds)}")
    shown = [
        _covered(pdu, texts="texts" in query, numbers="numbers" in query) for pdu in carrier.traced(bind)
    ]
    headers = {_PDUS: str(len(shown))}
    return web.Response(body=pcap_octets(shown), content_type=MEDIA_TYPE, headers=headers)


def _covered(pdu: TracedPdu, *, texts: bool, numbers: bool) -> TracedPdu:
    return pdu._replace(octets=masked(pdu.octets, texts=texts, numbers=numbers))


def _problem(detail: str) -> web.Response:
    return web.json_response({"detail": detail}, status=404)


def _shown(carrier: CarrierAccount, state: str) -> dict[str, Any]:
    return {
        "name": carrier.name,
        "state": state,
        "rate_per_s": carrier.rate_per_s,
        "rate_now": round(carrier.rate_now(), 1),
        "in_flight": carrier.in_flight(),
        "receipt_ids": str(carrier.receipt_ids),
        "binds": [
            {
                "bind": bind.bind,
                "host": bind.host,
                "state": bind.state,
                "since": bind.since.isoformat(),
                "window_used": bind.window_used,
                "window_max": bind.window_max,
                "last_error": bind.last_error,
            }
            for bind in carrier.binds()
        ],
    }


# The command line's side


async def ask_carriers(state_dir: Path) -> list[dict[str, Any]]:
    """
    Return the carriers of the running gateway and the state of their binds.

    Raises:
        LinkError: no gateway runs on this directory, or it does not answer.
    """
    data: list[dict[str, Any]] = _taken(state_dir, await _asked(state_dir, "/carriers", {}))["data"]
    return data


async def ask_esmes(state_dir: Path) -> list[dict[str, Any]]:
    """
    Return the ESMEs that are bound to the running gateway.

    Raises:
        NotFound: the gateway lets no ESME bind.
        LinkError: no gateway runs on this directory, or it does not answer.
    """
    answer = await _asked(state_dir, "/esmes", {})
    if answer.status == web.HTTPNotFound.status_code:
        raise NotFound("The gateway listens for no ESME: set plain_port or tls_port in [esmes].")
    data: list[dict[str, Any]] = _taken(state_dir, answer)["data"]
    return data


async def ask_trace(
    state_dir: Path, name: str, *, bind: str | None, texts: bool, numbers: bool
) -> tuple[bytes, int]:
    """
    Return the last PDUs of a carrier's binds as a capture file, and how many they are.

    Raises:
        NotFound: no such carrier or bind.
        LinkError: no gateway runs on this directory, or it does not answer.
    """
    query = {} if bind is None else {"bind": bind}
    query |= {option: "1" for option, asked in (("texts", texts), ("numbers", numbers)) if asked}
    answer = await _asked(state_dir, f"/carriers/{quote(name, safe='')}/trace", query)
    if answer.status != web.HTTPOk.status_code:
        _taken(state_dir, answer)
    return answer.octets, answer.pdus


async def ask_reload(state_dir: Path, *, remove_all_carriers: bool) -> dict[str, Any]:
    """
    Have the running gateway read its configuration again, and return what it did.

    Raises:
        ConfigError: the configuration cannot work; nothing changed.
        Conflict: no carrier would be left, and `remove_all_carriers` is not said; nothing changed.
        LinkError: no gateway runs on this directory, or it does not answer.
    """
    return await _done(state_dir, "/reload", {_REMOVE_ALL_CARRIERS: "1"} if remove_all_carriers else {})


async def ask_action(state_dir: Path, name: str, action: str) -> dict[str, Any]:
    """
    Have the running gateway drain, stop or start a carrier; return its name and state.

    Raises:
        NotFound: no such carrier.
        LinkError: no gateway runs on this directory, or it does not answer.
    """
    return await _done(state_dir, f"/carriers/{quote(name, safe='')}/{action}", {})


async def _done(state_dir: Path, path: str, query: dict[str, str]) -> dict[str, Any]:
    return _taken(state_dir, await _asked(state_dir, path, query, method="POST"))


class _Answer(NamedTuple):
    status: int
    octets: bytes
    pdus: int


async def _asked(state_dir: Path, path: str, query: dict[str, str], *, method: str = "GET") -> _Answer:
    try:
        with _socket_path(state_dir) as socket_path:
            connector = aiohttp.UnixConnector(socket_path)
            async with (
                aiohttp.ClientSession("http://gateway", connector=connector, timeout=TIMEOUT) as session,
                session.request(method, path, params=query) as response,
            ):
                pdus = int(response.headers.get(_PDUS, 0))
                return _Answer(response.status, await response.read(), pdus)
    except (aiohttp.ClientError, OSError) as exc:
        raise LinkError(_why_no_answer(state_dir, exc)) from exc


def _why_no_answer(state_dir: Path, exc: Exception) -> str:
    """Say which of both has to be mended: that none runs, or that the one that runs cannot be asked."""
    error = getattr(exc, "os_error", exc)
    match error:
        case TimeoutError():
            return (
                f"the gateway on {state_dir} runs, and gave no answer within {TIMEOUT.total:g} s: whether it "
                "did what was asked is unknown"
            )
        case FileNotFoundError() | NotADirectoryError() | ConnectionRefusedError():
            mend = "start `smsgate run`, or name its configuration by --config"
            return f"no gateway answers on {state_dir}: {mend}"
        case PermissionError():
            return f"{state_dir / SOCKET_NAME} is closed to this user: ask as the gateway's user, or as root"
        case aiohttp.ClientError():
            return f"the gateway on {state_dir} broke off before its answer was whole: its log may say why"
    return f"the gateway on {state_dir} cannot be asked: {getattr(error, 'strerror', None) or error}"


def _taken(state_dir: Path, answer: _Answer) -> dict[str, Any]:
    """
    Return what was answered.

    Raises:
        ConfigError: the configuration cannot work.
        NotFound: there is no such thing.
        Conflict: it was refused for another reason.
        LinkError: the answer is none of ours.
    """
    try:
        found: dict[str, Any] = orjson.loads(answer.octets)
        if answer.status == web.HTTPOk.status_code:
            return found
        detail = found["detail"]
    except (ValueError, LookupError, TypeError):
        raise LinkError(
            f"the gateway on {state_dir} answered {answer.status}, and nothing that can be read: its log may "
            "say why"
        ) from None
    if answer.status == web.HTTPUnprocessableEntity.status_code:
        raise ConfigError(detail, found["where"], found["mend"])
    if answer.status == web.HTTPNotFound.status_code:
        raise NotFound(detail)
    raise Conflict(detail)
