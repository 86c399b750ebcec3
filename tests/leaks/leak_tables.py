"""A plugin's tables whose policies use everything that there is: predicates, tenant, permission, all five rules."""

from uuid import UUID

from sqlalchemy import ForeignKey, MetaData, and_, exists, or_
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column, relationship

from corekit.data import Base, Policy, Predicate, actor, has_permission


class Own(DeclarativeBase):
    """A base beside the real one, so that these tables are in nobody else's schema."""

    metadata = MetaData(naming_convention=Base.metadata.naming_convention)
    type_annotation_map = Base.type_annotation_map


class TopicRow(Own):
    """What everybody may read."""

    __tablename__ = "leak_topic"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]


class RoomRow(Own):
    """A room that belongs to somebody."""

    __tablename__ = "leak_room"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant: Mapped[UUID | None]
    owner: Mapped[UUID]
    title: Mapped[str]
    notes: Mapped[list["NoteRow"]] = relationship(back_populates="room")

    @property
    def shown(self) -> str:
        """What it gives away."""
        return self.title


class SeatRow(Own):
    """Who sits in a room."""

    __tablename__ = "leak_seat"

    room_id: Mapped[UUID] = mapped_column(ForeignKey("leak_room.id"), primary_key=True)
    usr: Mapped[UUID] = mapped_column(primary_key=True)
    tenant: Mapped[UUID | None]
    role: Mapped[str]


class NoteRow(Own):
    """A note that lies in a room."""

    __tablename__ = "leak_note"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant: Mapped[UUID | None]
    room_id: Mapped[UUID] = mapped_column(ForeignKey("leak_room.id", ondelete="CASCADE"))
    author: Mapped[UUID]
    topic: Mapped[int]
    body: Mapped[str]
    room: Mapped[RoomRow] = relationship(back_populates="notes")

    @property
    def shown(self) -> str:
        """What it gives away."""
        return self.body


_seat = aliased(SeatRow)
sits = Predicate(
    "leak_sits",
    lambda room, actor: exists().where(_seat.room_id == room, _seat.usr == actor),
    room=UUID,
    actor=UUID,
)
keeps_seat = Predicate(
    "leak_keeps_seat",
    lambda room, role, actor: exists().where(_seat.room_id == room, _seat.usr == actor, _seat.role == role),
    room=UUID,
    role=str,
    actor=UUID,
)

Policy.public(TopicRow, "Topics are for everybody.")
Policy(
    RoomRow,
    read=lambda r: or_(r.owner == actor(), sits(r.id, actor())),
    write=lambda r: r.owner == actor(),
)
Policy(
    SeatRow,
    read=lambda s: or_(s.usr == actor(), sits(s.room_id, actor())),
    insert=lambda s: exists().where(RoomRow.id == s.room_id, RoomRow.owner == actor()),
    update=lambda s: s.usr == actor(),
    check=lambda s: and_(s.usr == actor(), keeps_seat(s.room_id, s.role, actor())),
    delete=lambda s: s.usr == actor(),
)
Policy(
    NoteRow,
    read=lambda n: or_(sits(n.room_id, actor()), has_permission("leak:note:read")),
    insert=lambda n: and_(n.author == actor(), sits(n.room_id, actor())),
    update=lambda n: n.author == actor(),
    check=lambda n: and_(n.author == actor(), sits(n.room_id, actor())),
    delete=lambda n: n.author == actor(),
)
