"""The bus over NATS subjects. `nats-py` does not reconnect by itself here, so that nodes hear of what they missed."""

from collections.abc import Iterable
from typing import Any

from corekit.errors import ConfigError
from corekit_realtime.bus.remote import Batch, Heard, Link, LinkLost, Lost, RemoteBus

_WITHIN = 5  # seconds for the broker to answer


def nats_bus(url: str, prefix: str) -> RemoteBus:
    """Make the bus of a broker.

    Raises:
        ConfigError: `nats-py` is not installed.

    """
    try:
        import nats  # noqa: PLC0415  # an extra
        import nats.errors  # noqa: PLC0415
    except ImportError:
        message = '[realtime] bus is NATS, but nats-py is missing: pip install "corekit-realtime[nats]"'
        raise ConfigError(message) from None
    errors = (OSError, nats.errors.Error)

    async def dial(heard: Heard, lost: Lost) -> Link:
        async def gone() -> None:
            lost()

        async def quiet(_: Exception) -> None:
            """Say nothing: the bus does."""

        try:
            client = await nats.connect(
                url,
                no_echo=True,
                allow_reconnect=False,
                connect_timeout=_WITHIN,
                disconnected_cb=gone,
                closed_cb=gone,
                error_cb=quiet,
            )
        except errors as error:
            raise LinkLost(type(error).__name__) from None
        return NatsLink(client, f"{prefix}.realtime.", heard, errors)

    return RemoteBus("nats", dial)


class NatsLink(Link):
    """One connection; the broker keeps one's own messages to itself."""

    def __init__(self, client: Any, prefix: str, heard: Heard, errors: tuple[type[Exception], ...]) -> None:
        self._client = client
        self._prefix = prefix
        self._heard = heard
        self._errors = errors

    async def listen(self, shards: Iterable[int]) -> None:
        """Subscribe to one subject per shard; the flush says that the broker knows."""
        try:
            for shard in shards:
                await self._client.subscribe(f"{self._prefix}{shard}", cb=self._hear)
            await self._client.flush(_WITHIN)
        except self._errors as error:
            raise LinkLost(type(error).__name__) from None

    async def send(self, batch: Batch) -> None:
        """Publish all of it."""
        try:
            for shard, message in batch:
                await self._client.publish(f"{self._prefix}{shard}", message)
        except self._errors as error:
            raise LinkLost(type(error).__name__) from None

    async def ping(self) -> None:
        """Wait for a pong."""
        try:
            await self._client.flush(_WITHIN)
        except self._errors as error:
            raise LinkLost(type(error).__name__) from None

    async def close(self) -> None:
        """Hang up."""
        try:
            await self._client.close()
        except self._errors:
            return

    async def _hear(self, message: Any) -> None:
        self._heard(int(message.subject.removeprefix(self._prefix)), message.data)
