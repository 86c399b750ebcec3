"""Realtime's problem; it has a page under `docs/problems/`."""

from corekit.errors import Problem


class UpgradeRequired(Problem):
    """A plain request came where a WebSocket is spoken."""

    slug, status, code, title = "upgrade-required", 426, 107, "This is a WebSocket"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail, headers={"Upgrade": "websocket"})
