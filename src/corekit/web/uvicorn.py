"""Serving with uvicorn: sockets that show their transport, and a stop that lets the kit drain first."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any, cast

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from corekit.watch.logs import get_logger

EXTENSION = "corekit.transport"
FRAME_MAX = 65_536  # bytes of one WebSocket message
CLOSE = (b"connection", b"close")
LEAVE = 1.0  # seconds in which clients hear that they have to come back over another connection


class Protocol(WebSocketsSansIOProtocol):
    """uvicorn's own, plus `scope["extensions"]["corekit.transport"]`, so that a frame made once is written to many."""

    def handle_connect(self, event: Request) -> None:
        """Show the transport before the application's task starts."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            cast("Any", self.scope)["extensions"][EXTENSION] = self.transport

    async def send(self, message: Any) -> None:
        """Call a refused handshake complete; uvicorn would log an error for each."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True

    def send_receive_event_to_app(self) -> None:
        """Close with 1007 what is no UTF-8; uvicorn would log a traceback that any client can cause."""
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.conn.send_close(1007)
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()


class Server(uvicorn.Server):
    """Drains before it stops: the first signal starts `drain`, a second one stops at once."""

    def __init__(self, config: uvicorn.Config, drain: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self.accepting = asyncio.Event()
        self._shed = drain
        self._draining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, *args: Any, **kwargs: Any) -> None:
        """Remember the loop: a signal arrives outside of it."""
        self._loop = asyncio.get_running_loop()
        await super().startup(*args, **kwargs)
        self.accepting.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # the form of a signal handler
        """Drain, or stop; the signal is not raised again afterwards, so that the kit stops in order."""
        if self._loop is None or self._loop.is_closed():
            self.should_exit = True
        else:
            self._loop.call_soon_threadsafe(self._on_signal, sig)

    def leave(self) -> None:
        """Drain, and take no more connections, unless it drains already: others accept from the same socket.

        Whoever has a connection learns with the next answer that it is the last one here.
        """
        if self._draining is not None:
            return
        for server in self.servers:
            server.close()
        self.config.encoded_headers.append(CLOSE)  # what is rendered anew each second
        self.server_state.default_headers.append(CLOSE)
        self.drain(pause=LEAVE)

    def drain(self, *, pause: float = 0.0) -> None:
        """Drain, then stop, at least `pause` seconds later; while it drains already, nothing."""
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain_then_exit(pause), name="corekit-drain")

    def stop(self) -> None:
        """Stop at once, whatever is under way."""
        if self._draining is not None:
            self._draining.cancel()
        self.should_exit = self.force_exit = True

    def _on_signal(self, number: int) -> None:
        event = "draining" if self._draining is None else "stopping_at_once"
        get_logger("corekit.serve").info(event, signal=signal.Signals(number).name)
        if self._draining is None:
            self.drain()
        else:
            self.stop()

    async def _drain_then_exit(self, pause: float) -> None:
        try:
            await asyncio.gather(self._shed(), asyncio.sleep(pause))
        except Exception as error:  # noqa: BLE001  # whatever a plugin raises, the stop goes on
            get_logger("corekit.serve").exception("drain_failed", error=type(error).__name__)
        finally:
            self.should_exit = True


def server_config(app: Any, **options: Any) -> uvicorn.Config:
    """Configure uvicorn as corekit is measured with; `options` go on top.

    It logs nothing by itself: an access line would show the query string.
    """
    defaults: dict[str, Any] = {
        "lifespan": "off",
        "http": "auto",
        "ws": "corekit.web.uvicorn:Protocol",
        "ws_max_size": FRAME_MAX,
        "ws_per_message_deflate": False,
        "ws_ping_interval": None,
        "log_config": None,
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,  # `[web] trusted_proxies` says whom to believe
        "backlog": 2048,
        "timeout_graceful_shutdown": 10,
    }
    return uvicorn.Config(app, **(defaults | options))
