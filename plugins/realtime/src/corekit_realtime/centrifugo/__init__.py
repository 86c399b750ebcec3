"""Behind Centrifugo: its servers hold the connections, corekit answers their proxy and publishes by their API."""

from corekit_realtime.centrifugo.running import Centrifugo

__all__ = ["Centrifugo"]
