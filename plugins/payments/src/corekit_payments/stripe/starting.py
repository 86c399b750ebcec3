"""From the settings of an instance to its adapter, or to a clear word about what is missing."""

from datetime import timedelta

from corekit.contracts.payments import Provider, ProviderSettings
from corekit.errors import ConfigError
from corekit.values import Clock
from corekit_payments.live import demand_encrypted
from corekit_payments.signing import TOLERANCE

_ADDRESS = "https://api.stripe.com"
_KEYS = ("sk_test_", "sk_live_", "rk_test_", "rk_live_")


def stripe_instance(settings: ProviderSettings, clock: Clock, tolerance: timedelta = TOLERANCE) -> Provider:
    """Make the adapter of one instance; a notice's signature is good for `tolerance`.

    Raises:
        ConfigError: its secret key is missing or none of Stripe's, its address is not encrypted, or the extra is not
            installed.

    """
    table = f"[payments.providers.{settings.name}]"
    if not settings.key_secret.reveal():
        raise ConfigError(f"{table} key_secret is missing: Stripe's secret key, from the environment or a file")
    if not settings.key_secret.reveal().startswith(_KEYS):
        raise ConfigError(f"{table} key_secret is no secret key of Stripe's: those begin with {', '.join(_KEYS)}")
    if not all(secret.reveal() for secret in settings.webhook_secrets):
        raise ConfigError(f"{table} webhook_secrets has an empty one")
    address = settings.base_address or _ADDRESS
    demand_encrypted(settings)
    try:
        from corekit_payments.stripe.line import Line  # noqa: PLC0415  # an extra: only who uses it needs it
    except ModuleNotFoundError as error:
        raise ConfigError(f"{table}: install corekit-payments[stripe], it has Stripe's SDK") from error
    from corekit_payments.stripe.provider import StripeProvider  # noqa: PLC0415

    line = Line(settings.key_secret, address)
    return StripeProvider(
        settings.name, line, clock, settings.webhook_secrets, collects_for_users=settings.collects_for_users,
        tolerance=tolerance,
    )  # fmt: skip
