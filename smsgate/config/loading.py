"""
From the file and the environment to checked settings.

Secrets may stand in files or in the environment instead. A few settings that containers need can be given by
environment variables, which win over the file: see ENVIRONMENT.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from smsgate.config.routes import RouteCarrier, RouteSettings, check_routes
from smsgate.config.settings import CARRIERS_MAX, Settings
from smsgate.errors import ConfigError
from smsgate.links.profile import CarrierProfile, read_profile
from smsgate.links.senders import owners_of_senders

DEFAULT_PATH: Final = Path("conf/smsgate.toml")
CONFIG_ENV: Final = "SMSGATE_CONFIG"
FILE_OCTETS_MAX: Final = 4 << 20
SECRET_OCTETS_MAX: Final = 4_096
ENVIRONMENT: Final[Mapping[str, tuple[str, str]]] = {
    "SMSGATE_STATE_DIR": ("node", "state_dir"),
    "SMSGATE_DATABASE_DSN": ("database", "dsn"),
    "SMSGATE_DATABASE_CONTROL_DSN": ("database", "control_dsn"),
    "SMSGATE_HTTP_HOST": ("http", "host"),
    "SMSGATE_HTTP_PORT": ("http", "port"),
    "SMSGATE_HTTP_HEALTH_PORT": ("http", "health_port"),
    "SMSGATE_LOG_LEVEL": ("log", "level"),
}
OTHERS_MAY_READ: Final = 0o077


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, the file they came from (None: no file, all defaults), and what the operator should know."""

    settings: Settings
    path: Path | None
    warnings: tuple[str, ...]


def load_settings(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings alone; see `load_configuration`."""
    return load_configuration(path, environ).settings


def load_configuration(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Loaded:
    """
    Read `path`, else the file that SMSGATE_CONFIG names, else conf/smsgate.toml, else take the defaults.

    Relative paths, here and in the file, start at the working directory.

    Raises:
        ConfigError: `where` is the key, `mend` says what to write.
    """
    environ = os.environ if environ is None else environ
    chosen = path or (Path(environ[CONFIG_ENV]) if environ.get(CONFIG_ENV) else None)
    if chosen is None and DEFAULT_PATH.is_file():
        chosen = DEFAULT_PATH
    tables = {} if chosen is None else _read(chosen)
    _apply_environment(tables, environ)
    warnings: list[str] = []
    carriers = _carriers(tables.pop("carriers", []), environ, warnings)
    if warnings and chosen is not None and chosen.stat().st_mode & OTHERS_MAY_READ:
        warnings.append(f"{chosen} holds a password and other users may read it: chmod 0600 {chosen}")
    settings = settings_of(tables).model_copy(update={"carriers": carriers})
    settings.database.dsns()  # refused here, not when the database is opened
    owners_of_senders(carriers)  # refuses a number that receives at two carriers
    check_routes(settings.routes, carriers)
    if not settings.http.on_loopback:
        warnings.append(
            f"http.host {settings.http.host} is open to the network without TLS: "
            "let a proxy that ends TLS stand before it"
        )
    if not carriers:
        warnings.append("no [[carriers]] are configured: offers are accepted, and nothing can be sent")
    return Loaded(settings, chosen, tuple(warnings))


def settings_of(tables: Mapping[str, Any]) -> Settings:
    """
    Return checked settings from plain values, carriers included.

    Raises:
        ConfigError: names the first key that cannot work.
    """
    try:
        return Settings.model_validate(tables)
    except ValidationError as error:
        raise _refusal(error.errors(include_input=False, include_url=False)[0]) from None


def _read(path: Path) -> dict[str, Any]:
    where = str(path)
    try:
        with path.open("rb") as file:
            octets = file.read(FILE_OCTETS_MAX + 1)
    except OSError as exc:
        raise ConfigError(
            f"the configuration cannot be read: {exc.strerror}", where, "name another by --config"
        ) from exc
    if len(octets) > FILE_OCTETS_MAX:
        raise ConfigError(
            f"the configuration exceeds {FILE_OCTETS_MAX} octets", where, "is it the right file?"
        )
    if not octets.strip():  # what an interrupted write leaves behind, and never what somebody meant
        raise ConfigError("the configuration is empty", where, "is it written to the end?")
    try:
        return tomllib.loads(octets.decode("utf-8"))
    except UnicodeDecodeError as exc:
        raise ConfigError("the configuration is not UTF-8", where, "save it as UTF-8") from exc
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"the configuration is not TOML: {exc}", where, "mend it at that place") from exc


def _apply_environment(tables: dict[str, Any], environ: Mapping[str, str]) -> None:
    for name, (table, key) in ENVIRONMENT.items():
        if value := environ.get(name):
            entry = tables.setdefault(table, {})
            if isinstance(entry, dict):
                entry[key] = int(value) if key.endswith("port") and value.isdecimal() else value


def _carriers(tables: object, environ: Mapping[str, str], warnings: list[str]) -> tuple[CarrierProfile, ...]:
    if not isinstance(tables, list) or len(tables) > CARRIERS_MAX:
        raise ConfigError(
            "carriers: not a list of tables", "carriers", f"write [[carriers]], {CARRIERS_MAX} times at most"
        )
    profiles: list[CarrierProfile] = []
    for index, table in enumerate(tables):
        if not isinstance(table, dict):
            raise ConfigError("carriers: not a table", f"carriers.{index}", "write [[carriers]]")
        where = f"carriers.{table.get('name', index)}"
        profile = read_profile(_with_secrets(table, where, environ, warnings), where)
        if profile.name in {other.name for other in profiles}:
            raise ConfigError(f"{where}: the name stands there twice", f"{where}.name", "name it otherwise")
        profiles.append(profile)
    return tuple(profiles)


def _with_secrets(
    table: Mapping[str, Any], where: str, environ: Mapping[str, str], warnings: list[str]
) -> dict[str, Any]:
    """Return the carrier's table with its passwords, from wherever they stand."""
    rest = dict(table)
    for key in ("password", "outbind_password"):
        sources = (key, f"{key}_file", f"{key}_env")
        given = {source: rest.pop(source) for source in sources if source in rest}
        if not given and key == "outbind_password":  # whether it is needed, the profile knows
            continue
        if len(given) != 1:
            what = f"{' and '.join(given)} stand side by side" if given else f"there is no {key}"
            mend = f"set one of {key}_file, {key}_env or {key}"
            raise ConfigError(f"{where}: {what}", f"{where}.{key}_file", mend)
        ((source, value),) = given.items()
        rest[key] = value
        if source.endswith("_file"):
            rest[key] = _secret_from_file(value, f"{where}.{source}")
        elif source.endswith("_env"):
            rest[key] = _secret_from_environment(value, environ, f"{where}.{source}")
        else:
            warnings.append(f"{where}.{key} stands in the configuration in plain: use {key}_file")
    return rest


def _secret_from_environment(variable: object, environ: Mapping[str, str], where: str) -> str:
    if not isinstance(variable, str) or not environ.get(variable):
        file = where.rpartition(".")[2].replace("_env", "_file")
        raise ConfigError(
            f"{where.rpartition('.')[0]}: the environment variable {variable!r} is not set",
            where,
            f"set it, or use {file}",
        )
    return environ[variable]


def _secret_from_file(file: object, where: str) -> str:
    if not isinstance(file, str) or not file:
        raise ConfigError(f"{where}: not a path", where, 'write the path as text, "/run/secrets/carrier"')
    path = Path(file)
    try:
        with path.open("rb") as opened:
            octets = opened.read(SECRET_OCTETS_MAX + 1)
        text = octets.decode("utf-8").rstrip("\r\n")
    except OSError as exc:
        raise ConfigError(
            f"{where}: {file} cannot be read: {exc.strerror}",
            where,
            "make the file, readable for this user alone",
        ) from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{where}: {file} is not text", where, "one line of text, the password") from exc
    if not text or len(octets) > SECRET_OCTETS_MAX or "\n" in text:
        raise ConfigError(f"{where}: {file} is not one line", where, "one line of text, the password")
    return text


def _refusal(detail: ErrorDetails) -> ConfigError:
    steps = [str(step) for step in detail["loc"]]
    # Beyond a table and its key, texts are the names of pydantic's branches; numbers are places of a list.
    where = ".".join([*steps[:2], *(step for step in steps[2:] if step.isdecimal())])
    message = f"{where}: {detail['msg'].removeprefix('Value error, ')}"
    model, key = _table_of(steps)
    if detail["type"] == "extra_forbidden":
        known = sorted(model.model_fields)
        near = difflib.get_close_matches(key, known, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        return ConfigError(f"{where}: unknown key", where, f"{hint}known keys are {', '.join(known)}")
    field = model.model_fields.get(key)
    mend = (field.description if field is not None else None) or "a value of its documented form"
    return ConfigError(message, where, f"write {mend}")


def _table_of(steps: list[str]) -> tuple[type[BaseModel], str]:
    """Return the model that a key belongs to, and the key: the first two steps of a path."""
    keys = [step for step in steps if not step.isdecimal()]
    if keys[:1] == ["routes"] and len(keys) > 1:
        return (
            (RouteCarrier, keys[2]) if keys[1] == "carriers" and len(keys) > 2 else (RouteSettings, keys[1])
        )
    table = Settings.model_fields.get(steps[0]) if steps else None
    kind = table.annotation if table is not None else None
    if len(steps) > 1 and isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind, steps[1]
    return Settings, steps[0] if steps else ""
