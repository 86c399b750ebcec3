"""`[web]`: where the server listens and whom it believes."""

from corekit.settings import Settings


class WebSettings(Settings, frozen=True):
    """`[web]`: `trusted_proxies` are the addresses whose `X-Forwarded-For` counts; sizes are in bytes."""

    host: str = "127.0.0.1"
    port: int = 8000
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    body_max: int = 1 << 20
    openapi: bool = True
    drain: float = 30.0
