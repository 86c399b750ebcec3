"""`[payments.fraud]`: the rules, what they allow, and what comes of it where they do not."""

from typing import Annotated, Literal, get_args

import msgspec

from corekit.errors import ConfigError
from corekit.settings import Settings

RuleName = Literal["blocklist", "amount", "velocity", "duplicate", "new_account"]
RULES: tuple[RuleName, ...] = get_args(RuleName)  # in the order in which they are asked
Mode = Literal["on", "shadow", "off"]
Scope = Literal["principal", "instrument", "device", "network"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
Stop = Literal["challenge", "review", "block"]

_MOST = 2**53 - 1  # what a client in JavaScript can still count
Minor = Annotated[int, msgspec.Meta(ge=0, le=_MOST)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=366 * 86400)]
Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}(?!\n)$")]
Sums = Annotated[dict[Currency, Minor], msgspec.Meta(max_length=50)]


class BlocklistRule(Settings, frozen=True):
    """Who and what is on the list is stopped."""

    outcome: Stop = "block"


class Bounds(Settings, frozen=True):
    """The least and the most of one payment, in minor units; null for no bound."""

    minimum: Minor | None = None
    maximum: Minor | None = None


class AmountRule(Settings, frozen=True):
    """One payment in a currency is within its bounds; currencies that are not named have none."""

    outcome: Stop = "block"
    bounds: Annotated[dict[Currency, Bounds], msgspec.Meta(max_length=50)] = msgspec.field(
        default_factory=lambda: {"INR": Bounds(minimum=100, maximum=10_000_000)}
    )


class VelocityRule(Settings, frozen=True):
    """In a minute, an hour and a day no more attempts than these of each of `scopes`; null for no limit.

    `day_sum` is the most that their amounts may come to in a day, in minor units for each currency.
    """

    outcome: Stop = "block"
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1, max_length=4)] = SCOPES
    minute: Count | None = 5
    hour: Count | None = 30
    day: Count | None = 100
    day_sum: Sums = msgspec.field(default_factory=lambda: {"INR": 20_000_000})


class DuplicateRule(Settings, frozen=True):
    """A payer pays the same payee the same amount once in `within` seconds, unless they say that they mean it."""

    outcome: Stop = "block"
    within: Annotated[int, msgspec.Meta(ge=1, le=86400)] = 60


class NewAccountRule(Settings, frozen=True):
    """An account younger than `younger_than` seconds pays no more than `day_sum` in a day, in minor units."""

    outcome: Stop = "block"
    younger_than: Seconds = 86400
    day_sum: Sums = msgspec.field(default_factory=lambda: {"INR": 500_000})


Parameters = BlocklistRule | AmountRule | VelocityRule | DuplicateRule | NewAccountRule


class FraudSettings(Settings, frozen=True):
    """`[payments.fraud]`: a table for each rule. Those in `shadow` are asked and act on nothing, others are `off`.

    Decisions are kept for `keep_days`.
    """

    shadow: tuple[RuleName, ...] = ()
    off: tuple[RuleName, ...] = ()
    keep_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 90
    blocklist: BlocklistRule = BlocklistRule()
    amount: AmountRule = AmountRule()
    velocity: VelocityRule = VelocityRule()
    duplicate: DuplicateRule = DuplicateRule()
    new_account: NewAccountRule = NewAccountRule()

    def __post_init__(self) -> None:
        """Refuse a rule that is to be in shadow and off (ConfigError)."""
        if both := sorted(set(self.shadow) & set(self.off)):
            raise ConfigError(f"[payments.fraud] shadow and off: {', '.join(both)} cannot be both")

    def mode(self, rule: RuleName) -> Mode:
        """Say whether a rule acts, is only asked, or neither."""
        return "off" if rule in self.off else "shadow" if rule in self.shadow else "on"
