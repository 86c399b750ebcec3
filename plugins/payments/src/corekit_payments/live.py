"""Keys that move real money, which nobody uses by accident."""

from corekit.errors import ConfigError
from corekit_payments.settings import PaymentsSettings

PRODUCTION = frozenset({"prod", "production"})
_LIVE = ("sk_live_", "rk_live_", "pk_live_", "rzp_live_")


def demand_live_on_purpose(env: str, settings: PaymentsSettings) -> None:
    """Refuse live keys unless `[payments] live` says so, and that anywhere but in production (ConfigError)."""
    if settings.live:
        if env not in PRODUCTION:
            raise ConfigError(f"[payments] live is for production alone, and this is {env!r}")
        return
    for name, instance in settings.providers.items():
        if instance.key_id.startswith(_LIVE) or instance.key_secret.reveal().startswith(_LIVE):
            raise ConfigError(f"[payments.providers.{name}] has a live key: it moves real money. Set [payments] live")
