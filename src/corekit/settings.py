"""Settings: msgspec structs filled in layers, each value knowing where it came from.

defaults < `corekit.toml` < `[env.<name>.*]` < environment `COREKIT_CHAT__MAX_LENGTH` < `*_FILE` < command line.
"""

import difflib
import hmac
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgspec

from corekit.errors import ConfigError
from corekit.values import choices

S = TypeVar("S", bound="Settings")
PREFIX = "COREKIT_"
_PASSWORD = re.compile(r"""(://[^:/@\s"]*:)[^@\s"]+(?=@)|([?&]password=)[^&\s"]+""")  # in a URL


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every plugin's settings: frozen, keyword-only, unknown keys are errors."""

    @classmethod
    def preset(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG003  # for those who override it
        """Return what else is the default where `values`, one table as it was set, choose a profile."""
        return {}


class Secret:
    """A text that never prints, pickles or compares in variable time; `reveal()` gives it out."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    __hash__ = None  # type: ignore[assignment]  # a hash would leak equality

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")


def _decode(type_: type, value: Any) -> Any:
    if type_ is Secret and isinstance(value, str):
        return Secret(value)
    if type_ is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"Expected `str`, got `{type(value).__name__}`")


class Config:
    """The layers of one start: what was set, per table and key, with the place it came from."""

    def __init__(self, env: str = "dev", path: Path | None = None) -> None:
        self.env = env
        self.path = path
        self.values: dict[str, dict[str, tuple[Any, str]]] = {}

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        env: str | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> "Config":
        """Read all layers; the file is `path`, `COREKIT_CONFIG` or `./corekit.toml`.

        Raises:
            ConfigError: a file is missing or broken, a name is unknown, or no environment is named off loopback.

        """
        environ = os.environ if environ is None else environ
        file = _find(path, environ)
        document = _read(file) if file else {}
        profiles = document.pop("env", {})
        if not (isinstance(profiles, dict) and all(isinstance(profile, dict) for profile in profiles.values())):
            raise ConfigError(
                f"[env] in {file} holds tables, as in [env.prod.web]; to choose one: --env or COREKIT_ENV"
            )
        config = cls("", file)
        config._merge(document, str(file))
        name = env or environ.get("COREKIT_ENV")
        config._merge(profiles.get(name or "dev", {}), f"{file} [env.{name or 'dev'}]")
        if name and profiles and name not in profiles:
            raise ConfigError(f"environment {name!r} is not in {file}: it has {', '.join(sorted(profiles))}")
        config._environment(environ)
        config._merge(overrides or {}, "command line")
        config.env = name or config._implied_env()
        return config

    def without(self, *names: str) -> "Config":
        """Return a copy in which some settings, `table.key` or whole tables, have their defaults again."""
        copy = Config(self.env, self.path)
        copy.values = {
            table: {key: value for key, value in keys.items() if f"{table}.{key}" not in names}
            for table, keys in self.values.items()
            if table not in names
        }
        return copy

    def table(self, name: str, type_: type[S]) -> S:
        """Build the settings of one table, for example `[chat]`.

        Raises:
            ConfigError: naming the key, what is allowed, and where the value came from.

        """
        raw = self._with_preset(name, type_)
        known = [field.encode_name for field in msgspec.structs.fields(type_)]
        for key, (_, origin) in raw.items():
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known)) or 'none'}"
                raise ConfigError(f"[{name}] has no setting {key!r} ({origin}); {hint}")
        values = {key: _from_text(value) if origin.startswith("$") else value for key, (value, origin) in raw.items()}
        try:
            return msgspec.convert(values, type_, strict=False, dec_hook=_decode)
        except (msgspec.ValidationError, ValueError) as error:
            key = str(error).rpartition("`$.")[2].partition("`")[0]
            place = [part for part in re.split(r"[.\[\]]+", key) if part]
            origin = raw.get(place[0] if place else "", ("", str(self.path)))[1]
            allowed = choices(type_, place)
            hint = f"; allowed: {allowed}" if allowed and place else ""
            raise ConfigError(f"[{name}] {error}{hint} ({origin})".replace("`$.", f"`{name}.")) from None

    def explain(self, name: str, type_: type[S]) -> list[tuple[str, str, str]]:
        """Tell (key, value, origin) of every setting of a table; secrets as `set`."""
        settings, raw, rows = self.table(name, type_), self._with_preset(name, type_), []
        for field in msgspec.structs.fields(type_):
            value = getattr(settings, field.name)
            origin = raw.get(field.encode_name, (None, "default"))[1]
            rows.append((f"{name}.{field.encode_name}", _shown(value), origin))
        return rows

    def unknown_tables(self, known: set[str]) -> list[str]:
        """List the tables that nobody asked for, with their origin."""
        return [
            f"[{name}] ({next(iter(keys.values()))[1]})"
            for name, keys in self.values.items()
            if name not in known and keys
        ]

    def _with_preset(self, name: str, type_: type[Settings]) -> dict[str, tuple[Any, str]]:
        own = self.values.get(name, {})
        preset = type_.preset({key: value for key, (value, _) in own.items()})
        return {key: (value, "profile") for key, value in preset.items()} | own

    def _merge(self, document: Mapping[str, Any], origin: str) -> None:
        for name, table in document.items():
            if not isinstance(table, Mapping):
                raise ConfigError(f"{name!r} stands outside any table ({origin}); write it below [kit], [web], …")
            self.values.setdefault(name, {}).update({key: (value, origin) for key, value in table.items()})

    def _environment(self, environ: Mapping[str, str]) -> None:
        for variable in sorted(environ, key=lambda name: name.endswith("_FILE")):
            table, found, key = variable.removeprefix(PREFIX).lower().partition("__")
            if not variable.startswith(PREFIX) or not found:
                continue
            value = environ[variable]
            if key.endswith("_file"):
                key, value = key.removesuffix("_file"), _secret_file(variable, value)
            self.values.setdefault(table, {})[key] = (value, f"${variable}")

    def _implied_env(self) -> str:
        host = str(self.values.get("web", {}).get("host", ("127.0.0.1", ""))[0])
        if host in {"127.0.0.1", "localhost", "::1"}:
            return "dev"
        raise ConfigError(f"listening on {host} needs a named environment: use --env or COREKIT_ENV")


def _find(path: str | Path | None, environ: Mapping[str, str]) -> Path | None:
    named = path or environ.get("COREKIT_CONFIG")
    file = Path(named or "corekit.toml")
    if file.is_file():
        return file
    if named:
        raise ConfigError(f"no configuration file at {file}")
    return None


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{file}: {error}") from None


def _secret_file(variable: str, value: str) -> str:
    try:
        return Path(value).read_text("utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{variable}: cannot read {value}: {error}") from None


def _from_text(value: Any) -> Any:
    """Read an environment variable: JSON where it looks like it, a plain text otherwise."""
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
    return value


def _shown(value: Any) -> str:
    shown = "set" if isinstance(value, Secret) else msgspec.json.encode(value, enc_hook=_encode).decode()
    return _PASSWORD.sub(r"\1\2***", shown)


def _encode(value: Any) -> Any:
    return "set" if isinstance(value, Secret) else str(value)
