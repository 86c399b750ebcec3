"""Lists of accounts, for administrators."""

import contextlib
from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, String, func, literal_column, or_, select

from corekit.context import Context
from corekit_auth.errors import ValidationFailed
from corekit_auth.models import IdentityRow, UserRow
from corekit_auth.objects import UserObject, user_object
from corekit_auth.phones import normal_phone

_PER_PAGE, _PER_PAGE_MAX = 50, 1000
_PAGE_MAX = 1_000_000
_FILTER_MAX = 255
_SORTS = {"": True, "created_at": False, "created_at asc": False, "created_at desc": True}
_NAMES = ("name", "full_name", "display_name")


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Which accounts: pages are counted from one; `filter` is a part of an address or name, or a whole number."""

    page: int = 1
    per_page: int = _PER_PAGE
    descending: bool = True
    filter: str = ""

    @classmethod
    def read(cls, given: Mapping[str, str]) -> "Query":
        """Read it from a query string; clients send what they do not set as empty text.

        Raises:
            ValidationFailed: naming the field and what is allowed.

        """
        sort = " ".join(given.get("sort", "").lower().split())
        if sort not in _SORTS:
            raise ValidationFailed("sort: must be created_at asc or created_at desc")
        text = given.get("filter", "").strip()
        if len(text) > _FILTER_MAX or "\0" in text:
            raise ValidationFailed(f"filter: at most {_FILTER_MAX} characters, none of them NUL")
        return cls(
            page=number(given, "page", 1, _PAGE_MAX),
            per_page=number(given, "per_page", _PER_PAGE, _PER_PAGE_MAX),
            descending=_SORTS[sort],
            filter=text,
        )


class UserPage(msgspec.Struct, frozen=True):
    """One page, and how many accounts there are on all pages."""

    users: list[UserObject]
    total: int


async def page_of_users(ctx: Context, query: Query) -> UserPage:
    """Read a page of accounts, deleted ones that left a row included."""
    where = _matching(ctx, query.filter) if query.filter else literal_column("1") == literal_column("1")
    total = await ctx.session.scalar(select(func.count()).select_from(UserRow).where(where))
    order = (UserRow.created_at, UserRow.id)
    listed = (
        select(UserRow)
        .where(where)
        .order_by(*(column.desc() if query.descending else column for column in order))
        .limit(query.per_page)
        .offset((query.page - 1) * query.per_page)
    )
    rows = (await ctx.session.scalars(listed)).all()
    known = await _identities(ctx, [row.id for row in rows])
    return UserPage([user_object(row, known.get(row.id, [])) for row in rows], total or 0)


async def _identities(ctx: Context, user_ids: Sequence[UUID]) -> dict[UUID, list[IdentityRow]]:
    found: dict[UUID, list[IdentityRow]] = {}
    mine = select(IdentityRow).where(IdentityRow.user_id.in_(user_ids)).order_by(IdentityRow.created_at)
    for row in await ctx.session.scalars(mine):
        found.setdefault(row.user_id, []).append(row)
    return found


def _matching(ctx: Context, text: str) -> ColumnElement[bool]:
    parts = [UserRow.email.icontains(text, autoescape=True)]
    parts += [_name(ctx, key).icontains(text, autoescape=True) for key in _NAMES]
    with contextlib.suppress(ValidationFailed):  # it may be no whole number; others are not found
        parts.append(UserRow.phone_index == ctx.kit.keyring.index("phone", normal_phone(text)))
    return or_(*parts)


def _name(ctx: Context, key: str) -> ColumnElement[str]:
    """Read one text of the metadata in SQL; `key` is one of ours."""
    if ctx.kit.database.dialect == "postgresql":
        return func.jsonb_extract_path_text(UserRow.user_metadata, key, type_=String)
    return func.json_extract(UserRow.user_metadata, f"$.{key}", type_=String)


def number(given: Mapping[str, str], field: str, default: int, most: int) -> int:
    """Read a number of a query string (ValidationFailed)."""
    text = given.get(field, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 0 < int(text) <= most):  # noqa: PLR2004
        raise ValidationFailed(f"{field}: must be a number from 1 to {most}")
    return int(text)
