"""What the database knows of the code that made it: the plugins and their policies."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from corekit.data.base import Base


class PluginRow(Base):
    """A plugin whose branch was applied: the version that did it, and where the branch stood then."""

    __tablename__ = "corekit_plugin"

    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str]
    head: Mapped[str]
    updated_at: Mapped[datetime]


class PolicyRow(Base):
    """A table's policy, or a predicate function, as it was emitted into PostgreSQL last: a hash of its text."""

    __tablename__ = "corekit_policy"

    name: Mapped[str] = mapped_column(primary_key=True)
    hash: Mapped[str]
    updated_at: Mapped[datetime]
