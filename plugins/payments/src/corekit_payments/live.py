"""Keys that move real money: nobody uses them by accident, nor shows them to the network."""

from urllib.parse import urlsplit

from corekit.contracts.payments import ProviderSettings
from corekit.errors import ConfigError
from corekit_payments.settings import PaymentsSettings

PRODUCTION = frozenset({"prod", "production"})
_HERE = frozenset({"127.0.0.1", "::1", "localhost"})
_LIVE = ("sk_live_", "rk_live_", "pk_live_", "rzp_live_")
_TEST = ("sk_test_", "rk_test_", "pk_test_", "rzp_test_")


def demand_live_on_purpose(env: str, settings: PaymentsSettings) -> None:
    """Refuse live keys unless `[payments] live` says so, and that anywhere but in production (ConfigError)."""
    if settings.live:
        if env not in PRODUCTION:
            raise ConfigError(f"[payments] live is for production alone, and this is {env!r}")
        return
    for name, instance in settings.providers.items():
        if instance.key_id.startswith(_LIVE) or instance.key_secret.reveal().startswith(_LIVE):
            raise ConfigError(f"[payments.providers.{name}] has a live key: it moves real money. Set [payments] live")


def live_instances(settings: PaymentsSettings) -> frozenset[str]:
    """Name the instances that move real money: all that are enabled with `[payments] live`, but for those known not to.

    That is the sandbox, and whatever has a key of a test mode; what another kind's keys look like is not known here.
    """
    return frozenset(
        name
        for name, one in settings.providers.items()
        if settings.live and one.enabled and one.kind != "sandbox"
        if not (one.key_id.startswith(_TEST) or one.key_secret.reveal().startswith(_TEST))
    )


def demand_encrypted(settings: ProviderSettings) -> None:
    """Refuse an address that would show an instance's key to the network (ConfigError)."""
    parts = urlsplit(settings.base_address)
    here = parts.scheme == "http" and parts.hostname in _HERE
    if settings.base_address and parts.scheme != "https" and not here:
        raise ConfigError(f"[payments.providers.{settings.name}] base_address is https, or http on this machine")
