"""The profile `supabase`: what Supabase's own server does by default, where it is laxer or reveals more."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

SUPABASE: Mapping[str, Any] = MappingProxyType(
    {
        "password_min": 6,
        "password_checks": False,
        "access_ttl": 3600,
        "otp_ttl": 3600,
        "sms_otp_ttl": 60,
        "hide_unknown": False,
        "made_up_identity": False,
        "pkce_plain": True,
        "passkey_user_verification": "preferred",
        "passkey_aal": 1,
        "inactivity": 0,
        "absolute_life": 0,
        "admin_aal2_life": 0,
        "demand_current_password": False,
        "fresh_sign_in": 0,
        "max_metadata": 65_536,
        "legacy_service_jwt": True,
    }
)
