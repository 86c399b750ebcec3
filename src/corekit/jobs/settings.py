"""What an operator may say about jobs."""

from typing import Literal

from corekit.settings import Settings


class JobSettings(Settings, frozen=True):
    """`[jobs]`: times in seconds; `worker` says whether this process runs jobs at all, `engine` what keeps them.

    `linger` lets a busy outbox fill before it is emptied again: each move takes SQLite's writing slot once.
    `concurrency` is how many jobs a worker holds at once; it claims anew when half of them are done. `contexts` is how
    many of them are in a transaction at once: fewer than the service role's connections, so that leases are renewed.
    """

    worker: bool = True
    engine: Literal["rows"] = "rows"
    concurrency: int = 32
    contexts: int = 3
    poll: float = 1.0
    linger: float = 0.05
    lease: float = 30.0
    backoff: float = 1.0
    backoff_max: float = 300.0
    stop: float = 25.0
