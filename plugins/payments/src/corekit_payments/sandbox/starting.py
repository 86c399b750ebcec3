"""What an instance of the sandbox is made of: its journal, or a line to its process; and who may have one."""

from collections.abc import Sequence
from pathlib import Path

from corekit.contracts.payments import ProviderSettings
from corekit.errors import ConfigError
from corekit.settings import Secret
from corekit_payments.calling import Line
from corekit_payments.live import PRODUCTION, demand_encrypted
from corekit_payments.sandbox.journal import Journal, journal_of

_SHORTEST = 16  # characters of a secret


def demand_allowed(settings: ProviderSettings, env: str) -> None:
    """Refuse the sandbox in production, unless it is allowed there on purpose (ConfigError)."""
    if env in PRODUCTION and not settings.allow_in_production:
        raise ConfigError(f"[payments.providers.{settings.name}]: the sandbox moves no money; name a real provider")


def place_of(settings: ProviderSettings, data_dir: Path) -> Journal | Line:
    """Say where it keeps what it does: a file here, or a process at `base_address`.

    Raises:
        ConfigError: the address would show the secret to the network, the secret is too short, or `httpx` is missing.

    """
    if not settings.base_address:
        return Journal(journal_of(data_dir, settings.name))
    demand_encrypted(settings)
    return Line(settings.base_address, login_of(settings))


def login_of(settings: ProviderSettings) -> tuple[str, str]:
    """Return the name and the secret that its process wants to hear (ConfigError: too short)."""
    secret = settings.key_secret.reveal()
    if len(secret) < _SHORTEST:
        raise ConfigError(
            f"[payments.providers.{settings.name}] key_secret has at least {_SHORTEST} characters where the sandbox is"
            " a process of its own"
        )
    return settings.name, secret


def secrets_of(settings: ProviderSettings) -> Sequence[Secret]:
    """Return what its notices are signed with: the secret that it shares with its process where nothing else is named.

    None of them means the one that is kept in its journal.
    """
    return settings.webhook_secrets or ((settings.key_secret,) if settings.key_secret.reveal() else ())
