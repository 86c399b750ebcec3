"""`[chat]`: limits of conversations, bodies and rates."""

from typing import Literal

from corekit.guard import Rule
from corekit.settings import Settings


class ChatSettings(Settings, frozen=True):
    """`[chat]`: `max_length` is in bytes of UTF-8, times are in seconds; `limits = false` switches all rates off.

    Rates are `[count, period, burst]`: so many per period, so many of them at once; each process counts alone.
    """

    max_length: int = 16_384
    group_members_max: int = 10_000
    channel_members_max: int = 100_000
    history_for_new_members: Literal["all", "from_join"] = "all"
    hint_interval: float = 0.25
    hint_interval_large: float = 5.0
    large_members: int = 1_000
    limits: bool = True
    send_rate: tuple[int, float, int] = (5, 1.0, 20)
    conversation_rate: tuple[int, float, int] = (20, 1.0, 100)
    history_rate: tuple[int, float, int] = (10, 1.0, 20)
    create_rate: tuple[int, float, int] = (20, 3600.0, 20)
    invite_rate: tuple[int, float, int] = (100, 3600.0, 100)

    def rule(self, name: Literal["send", "conversation", "history", "create", "invite"]) -> Rule:
        """Return one rate as a rule."""
        count, period, burst = getattr(self, f"{name}_rate")
        return Rule(f"chat.{name}", count, period, burst, "account")
