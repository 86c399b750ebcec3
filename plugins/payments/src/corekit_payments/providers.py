"""The enabled instances of providers, and which of them offers a method."""

import re
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import msgspec

from corekit.context import Context, Kit
from corekit.contracts.payments import Method, PaymentMethod, Provider, ProviderSettings, payment_providers
from corekit.errors import ConfigError, Invalid
from corekit.values import Money
from corekit.values.money import exponent
from corekit_payments.errors import MethodNotAvailable
from corekit_payments.gating import takes_attempts
from corekit_payments.upi.rules import CURRENCY as UPI_CURRENCY
from corekit_payments.upi.rules import UpiRules, is_upi

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


@runtime_checkable
class _Closing(Protocol):
    async def close(self) -> None: ...


class Providers:
    """Adapters by the name of their instance, and the kind of each."""

    def __init__(self, instances: Mapping[str, Provider], kinds: Mapping[str, str] | None = None) -> None:
        self._instances = instances
        self._kinds = kinds or {}

    @classmethod
    async def start(cls, kit: Kit, settings: Mapping[str, ProviderSettings]) -> "Providers":
        """Ask for the adapter of each enabled instance.

        Raises:
            ConfigError: an instance's name is none, or not exactly one adapter is of its kind.

        """
        found: dict[str, Provider] = {}
        for name, instance in settings.items():
            if not _NAME.fullmatch(name):
                raise ConfigError(f"[payments.providers.{name}]: a to z first, then a to z, 0 to 9 and _; at most 32")
            if not instance.enabled:
                continue
            asked = msgspec.structs.replace(instance, name=name)
            many = [one for brought in await kit.hooks.each(payment_providers, asked) for one in brought]
            if len(many) != 1 or many[0].name != name:
                raise ConfigError(f"[payments.providers.{name}]: {len(many)} adapters of the kind {instance.kind!r}")
            found[name] = many[0]
        return cls(found, {name: settings[name].kind for name in found})

    async def close(self) -> None:
        """Let the adapters that have a line of their own end it."""
        for one in self._instances.values():
            if isinstance(one, _Closing):
                await one.close()

    def named(self, name: str) -> Provider | None:
        """Return the adapter of an instance."""
        return self._instances.get(name)

    def every(self) -> list[Provider]:
        """List the adapters."""
        return list(self._instances.values())

    def offering(self, ctx: Context, method: Method) -> Provider:
        """Return the instance that a method names, or the only one that offers it now (MethodNotAvailable)."""
        kind = str(type(method).__struct_config__.tag)
        many = [one for one in self._offered(ctx).values() if kind in one.capabilities.methods]
        if method.provider is not None:
            many = [one for one in many if one.name == method.provider]
        if len(many) != 1:
            raise MethodNotAvailable(pointer="/method")
        return many[0]

    def taking(self, ctx: Context, currency: str, upi: UpiRules) -> list[PaymentMethod]:
        """List the methods by which a currency can be paid now, by instance and type (Invalid)."""
        try:
            exponent(currency)
        except ValueError as error:
            raise Invalid(str(error), pointer="/currency") from None
        return [
            PaymentMethod(
                type=kind,
                provider=name,
                minimum=Money(can.minimum, currency),
                maximum=None if (most := upi.maximum(kind, currency, can.maximum)) is None else Money(most, currency),
            )
            for name, one in sorted(self._offered(ctx).items())
            if currency in (can := one.capabilities).currencies
            for kind in sorted(can.methods)
            if currency == UPI_CURRENCY or not is_upi(kind)
        ]

    def _offered(self, ctx: Context) -> dict[str, Provider]:
        """Leave out the instances whose kind takes no new attempts."""
        off = {name for name, kind in self._kinds.items() if not takes_attempts(ctx, kind)}
        return {name: one for name, one in self._instances.items() if name not in off}
