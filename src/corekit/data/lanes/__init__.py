"""The hot path: hand-written SQL behind one port, many items in one commit, an answer only after it."""

from corekit.data.lanes.port import Batch, Lane, Lanes, LaneSpec, lanes_for

__all__ = ["Batch", "Lane", "LaneSpec", "Lanes", "lanes_for"]
