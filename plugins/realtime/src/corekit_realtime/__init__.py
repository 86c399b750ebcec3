"""The realtime gateway: Centrifuge client protocol over WebSocket, for corekit."""

from corekit_realtime.plugin import RealtimePlugin
from corekit_realtime.settings import RealtimeSettings

__all__ = ["RealtimePlugin", "RealtimeSettings"]
