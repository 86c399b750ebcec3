"""Logs: typed events with allow-listed fields, deny keys always, and a second net on free text."""

import logging
import re
import sys
from collections.abc import Iterable
from typing import Any, Literal, TextIO, cast

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from corekit.settings import Settings

# What an event may say; anything else is dropped, and the line says which fields were.
# fmt: off
ALLOWED = frozenset([
    "event", "level", "logger", "timestamp", "exception", "dropped", "request_id", "trace_id", "pid", "node",
    "actor", "tenant", "plugin", "plugins", "job", "listener", "attempts", "tag", "check", "message_id",
    "method", "route", "status", "duration_ms", "code", "reason", "error",
    "channel_namespace", "client_name", "connections", "count", "size", "seconds",
    "database", "env", "host", "port", "url", "version", "revision", "signal", "worker",
])
# fmt: on
DENIED = frozenset(["password", "token", "authorization", "otp", "secret", "card", "vpa", "email", "phone", "message"])
_PATTERNS = (
    (re.compile(r"([?&#](?:code|state|\w*token|token_hash|\w*secret|password|nonce)=)[^&#\s\"']+"), r"\1[secret]"),
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"), "[address]"),
    (re.compile(r"(/checkout/)[\w-]{32,}"), r"\1[secret]"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*|\bck_svc_\w+"), "[token]"),
    (re.compile(r"(?<![\w-])(?=[a-zA-Z_-]*\d)[\w-]{40,}(?![\w-])"), "[secret]"),  # longer than any id, with a digit
    (re.compile(r"(?<![\w-])\+?\d[\d ]{8,}\d(?![\w-])"), "[number]"),
)


class LogSettings(Settings, frozen=True):
    """`[logs]`: `style` is text in dev and json elsewhere unless it is set; `requests` asks for a line per request."""

    style: Literal["json", "text"] | None = None
    level: Literal["debug", "info", "warning", "error"] = "info"
    requests: bool = True

    def style_in(self, env: str) -> Literal["json", "text"]:
        """Tell how lines look in an environment."""
        return self.style or ("text" if env == "dev" else "json")


def get_logger(name: str) -> FilteringBoundLogger:
    """Return the logger of one module; its events are words_with_underscores, its fields the allowed ones.

    It redacts, then hands over to the standard library, so that an embedding host decides where logs go.
    """
    chain: list[Processor] = [
        structlog.stdlib.filter_by_level,
        structlog.contextvars.merge_contextvars,
        structlog.processors.format_exc_info,
        Redact(),
        _hand_over,
    ]
    logger = structlog.wrap_logger(logging.getLogger(name), chain, structlog.stdlib.BoundLogger)
    return cast("FilteringBoundLogger", logger)


def configure_logs(
    style: Literal["json", "text"], *, level: str = "INFO", deny: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Send all of this process's records through one redacting chain; for a process that is a server.

    `deny` adds names of fields that hold personal data, taken from the PII marks.
    """
    last: Processor = (
        structlog.processors.JSONRenderer(
            serializer=lambda event, **_: msgspec.json.encode(event, enc_hook=str).decode()
        )
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)
    )
    chain: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        Redact(deny),
        last,
    ]
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=chain))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("corekit").setLevel(level.upper())


class Redact:
    """The processor that lets nothing personal out."""

    def __init__(self, deny: Iterable[str] = ()) -> None:
        self._denied = DENIED | set(deny)

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """Drop what is not allowed; rub addresses, numbers and tokens out of free text."""
        kept: dict[str, Any] = {}
        dropped = []
        for key, value in event.items():
            if key in self._denied or not (key in ALLOWED or key.startswith("_") or key == "exc_info"):
                dropped.append(key)
            else:
                kept[key] = value if key.startswith("_") or key == "exc_info" else _clean(value)
        if dropped:
            kept["dropped"] = sorted(dropped)
        return kept


def _hand_over(
    logger: WrappedLogger, method: str, event: EventDict
) -> tuple[tuple[EventDict], dict[str, dict[str, Any] | None]]:
    """Give the event to the standard library, without the exception: its text is in the event, rubbed clean."""
    arguments, options = structlog.stdlib.ProcessorFormatter.wrap_for_formatter(logger, method, event)
    return arguments, {**options, "exc_info": None}


def _clean(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item) for item in value]
    return scrub(str(value))  # an exception or a struct says of itself whatever it likes


def scrub(text: str) -> str:
    """Rub addresses, tokens and long numbers out of a free text."""
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text
