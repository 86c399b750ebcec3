# /// script
# requires-python = ">=3.11"
# dependencies = ["fastapi-users[sqlalchemy]>=15", "aiosqlite>=0.20", "asyncpg>=0.30", "uvicorn[standard]>=0.34"]
# ///
"""fastapi-users with its JWT strategy and SQLAlchemy, as its documentation has it: `peer_fastapi_users.py PORT URL`.

It needs another SQLAlchemy than corekit, so `uv run --script` gives it an environment of its own.
"""

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

import uvicorn
from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

SECRET = "a secret of this benchmark, 32 bytes or more"  # noqa: S105


class Base(DeclarativeBase):
    """The tables."""


class User(SQLAlchemyBaseUserTableUUID, Base):
    """The peer's own columns."""


class Users(UUIDIDMixin, BaseUserManager[User, UUID]):
    """The peer's own behaviour."""

    reset_password_token_secret = verification_token_secret = SECRET


def make(url: str) -> FastAPI:
    """Make the application."""
    engine = create_async_engine(url)
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    async def session() -> AsyncGenerator[AsyncSession]:
        async with sessions() as opened:
            yield opened

    async def database(opened: Annotated[AsyncSession, Depends(session)]) -> AsyncGenerator[object]:
        yield SQLAlchemyUserDatabase(opened, User)

    async def manager(store: Annotated[SQLAlchemyUserDatabase, Depends(database)]) -> AsyncGenerator[Users]:
        yield Users(store)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield

    backend = AuthenticationBackend(
        name="jwt",
        transport=BearerTransport(tokenUrl="auth/jwt/login"),
        get_strategy=lambda: JWTStrategy(secret=SECRET, lifetime_seconds=3600),
    )
    users = FastAPIUsers[User, UUID](manager, [backend])
    read, create, change = schemas.BaseUser[UUID], schemas.BaseUserCreate, schemas.BaseUserUpdate
    app = FastAPI(lifespan=lifespan)
    app.include_router(users.get_auth_router(backend), prefix="/auth/jwt")
    app.include_router(users.get_register_router(read, create), prefix="/auth")
    app.include_router(users.get_users_router(read, change), prefix="/users")
    return app


if __name__ == "__main__":
    print(os.getpid(), flush=True)  # uv stands between
    uvicorn.run(make(sys.argv[2]), port=int(sys.argv[1]), log_level="warning", access_log=False)
