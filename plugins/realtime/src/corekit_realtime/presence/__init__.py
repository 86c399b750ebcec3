"""Presence: who is in a channel, per device, on every node, without flaps and without storms."""

from corekit_realtime.presence.departures import Departures
from corekit_realtime.presence.presences import Presences

__all__ = ["Departures", "Presences"]
