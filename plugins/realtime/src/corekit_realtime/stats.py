"""What a node counts."""

from dataclasses import dataclass


@dataclass(slots=True)
class Stats:
    """Counters since the start; metrics are made of them."""

    handshakes: int = 0
    handshakes_refused: int = 0
    commands: int = 0
    deliveries: int = 0
    skipped: int = 0
    slow_closes: int = 0
    recovered: int = 0
    not_recovered: int = 0
    gap_reads: int = 0
    unreadable: int = 0
