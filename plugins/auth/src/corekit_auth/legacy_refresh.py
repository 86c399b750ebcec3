"""Refresh tokens of version 1, which Supabase's server used to give out: random text, kept here as an HMAC alone."""

import re
from uuid import UUID

from sqlalchemy import select

from corekit.context import Context, Kit
from corekit_auth.models import SessionRow

_FORM = re.compile(r"[A-Za-z0-9_-]{12,32}")


def is_legacy(text: str) -> bool:
    """Tell whether a token may be of version 1: those of version 2 are longer."""
    return _FORM.fullmatch(text) is not None


def legacy_mac(kit: Kit, text: str) -> bytes:
    """Return by what a token of version 1 is found."""
    return kit.keyring.mac("auth.refresh.legacy", text)


async def legacy_session(ctx: Context, text: str) -> UUID | None:
    """Name the imported session that a token of version 1 belongs to: it stands for the first of ours."""
    return await ctx.session.scalar(select(SessionRow.id).where(SessionRow.legacy_mac == legacy_mac(ctx.kit, text)))
