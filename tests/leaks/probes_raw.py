"""Statements that only one of the databases knows, and ways around what corekit installs there."""

from typing import Any
from uuid import UUID

from leak_world import BOB, HERE, HIS, MINE, REFUSED, World, secrets
from sqlalchemy import text

from corekit.context import Context

NEW = "INTO leak_note (id, tenant, room_id, author, topic, body)"
OUTBOX = "INSERT INTO corekit_outbox (id, kind, tag, payload, priority, actor, created_at)"


async def outbox_and_jobs_read(ctx: Context, world: World) -> Any:
    found = []
    for table in ("corekit_outbox", "corekit_job"):
        found += await _try(ctx, f"SELECT payload FROM {table}", f"SELECT 1 FROM {table}")  # noqa: S608
        found += await _try(ctx, f"UPDATE {table} SET priority = 1 RETURNING payload")  # noqa: S608
        found += await _try(ctx, f"DELETE FROM {table} RETURNING payload")  # noqa: S608
    return found


async def outbox_and_jobs_changed(ctx: Context, world: World) -> None:
    """The judge reads both; each is tried on its own."""
    for table in ("corekit_outbox", "corekit_job"):
        await _try(ctx, f"UPDATE {table} SET priority = 1", f"DELETE FROM {table}")  # noqa: S608


async def outbox_with_a_forged_actor(ctx: Context, world: World) -> Any:
    """Returning a row would need the right to read: so the judge looks for it."""
    values = f"VALUES (:id, 'job', 'leak.x', {_blob(world)}, 0, :actor, :now)"
    what = {"id": _bound(world, UUID(int=7)), "actor": _bound(world, BOB.id), "now": _now(ctx, world)}
    await _try(ctx, f"{OUTBOX} {values}", **what)


async def a_job_past_the_outbox(ctx: Context, world: World) -> None:
    columns = "id, tag, listener, payload, priority, run_after, state, attempts, created_at"
    values = f"VALUES (:id, 'leak.x', '', {_blob(world)}, 0, :now, 'queued', 0, :now)"
    what = {"id": _bound(world, UUID(int=7)), "now": _now(ctx, world)}
    await _try(ctx, f"INSERT INTO corekit_job ({columns}) {values}", **what)


async def what_corekit_remembers(ctx: Context, world: World) -> Any:
    return await _try(
        ctx,
        "SELECT * FROM corekit_plugin",
        "DELETE FROM corekit_plugin RETURNING 1",
        "SELECT * FROM corekit_alembic",
        "UPDATE corekit_alembic SET version_num = version_num RETURNING 1",
    )


async def another_schema(ctx: Context, world: World) -> Any:
    """By its full name a table is the same table on PostgreSQL; on SQLite it is the one behind the view."""
    full = "main" if world.sqlite else "public"
    return await _try(
        ctx,
        f"SELECT body FROM {full}.leak_note",  # noqa: S608
        f"SELECT count(*) FROM {full}.leak_note WHERE topic = 2 HAVING count(*) > 1",  # noqa: S608
        f'SELECT body FROM "{full}"."leak_note"',  # noqa: S608
        f"WITH x AS (SELECT body FROM {full}.leak_note) SELECT * FROM x",  # noqa: S608
        f"WITH leak_note AS (SELECT body FROM {full}.leak_note) SELECT * FROM leak_note",  # noqa: S608
        f"WITH x AS (SELECT 1 FROM {full}.leak_note) SELECT count(*) FROM x HAVING count(*) > 1",  # noqa: S608
        f"SELECT max(body) FROM (SELECT body FROM {full}.leak_note) AS leak_note",  # noqa: S608
        f"UPDATE leak_note SET body = (SELECT max(o.body) FROM {full}.leak_note o) RETURNING body",  # noqa: S608
        f"UPDATE {full}.leak_note SET topic = 8 RETURNING body",  # noqa: S608
        f"DELETE FROM {full}.leak_note RETURNING body",  # noqa: S608
    )


async def written_by_a_common_table_expression(ctx: Context, world: World) -> Any:
    return await _try(
        ctx,
        "WITH x AS (SELECT max(body) AS said FROM leak_note) UPDATE leak_note SET body = (SELECT said FROM x)"
        " RETURNING body",
        "WITH x AS (DELETE FROM leak_note RETURNING body) SELECT body FROM x",
        "WITH x AS (UPDATE leak_note SET topic = 8 RETURNING body) SELECT body FROM x",
        "WITH x AS (SELECT id FROM leak_note) DELETE FROM leak_note WHERE id IN (SELECT id FROM x) RETURNING body",
    )


async def insert_or_replace(ctx: Context, world: World) -> None:
    """The row that it removes is not hers."""
    if not world.sqlite:
        return
    values = f"VALUES ({_hex(HIS)}, {_hex(HERE)}, {_hex(MINE)}, corekit_actor(), 1, 'mine now')"
    await _try(ctx, f"INSERT OR REPLACE {NEW} {values}", f"REPLACE {NEW} {values}")
    await _try(ctx, f"UPDATE OR REPLACE leak_note SET id = {_hex(HIS)} WHERE id = {_hex(MINE)}")  # noqa: S608
    await _try(ctx, f"INSERT OR IGNORE {NEW} {values}", f"INSERT OR FAIL {NEW} {values}")


async def cached_statement_again(ctx: Context, world: World) -> None:
    """The driver keeps what it has prepared, and does not ask again whether it may run."""
    await _try(ctx, "DELETE FROM leak_note WHERE topic = 2")
    raw: Any = await (await ctx.session.connection()).get_raw_connection()
    full = "main" if world.sqlite else "public"
    await raw.driver_connection.execute(f"DELETE FROM {full}.leak_note WHERE topic = 2")  # noqa: S608


async def nets_taken_down(ctx: Context, world: World) -> Any:
    """Drops whatever there is, and looks again."""
    await _try(
        ctx,
        *(f"DROP TRIGGER corekit_policy_leak_note_{action}" for action in ("insert", "update", "delete")),
        "DROP VIEW leak_note",
        "DROP VIEW temp.leak_note",
        "DROP POLICY corekit_select ON leak_note",
        "ALTER TABLE leak_note DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE leak_note NO FORCE ROW LEVEL SECURITY",
        "CREATE POLICY open ON leak_note USING (true)",
        "PRAGMA writable_schema = ON",
        "PRAGMA recursive_triggers = OFF",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA query_only = OFF",
        "DELETE FROM sqlite_temp_master",
        "CREATE TEMP VIEW mine AS SELECT * FROM main.leak_note",
        "CREATE TEMP TRIGGER mine BEFORE INSERT ON leak_topic BEGIN UPDATE leak_note SET body = ''; END",
        "CREATE TABLE mine AS SELECT * FROM leak_note",
        "CREATE TEMP TABLE leak_seat AS SELECT * FROM leak_seat",
    )
    found = await _try(
        ctx, *(f"{verb} RETURNING body" for verb in ("UPDATE leak_note SET topic = 3", "DELETE FROM leak_note"))
    )
    found += await _try(ctx, "SELECT body FROM leak_note", "SELECT body FROM mine")
    await _try(ctx, "ALTER TABLE leak_note RENAME TO leak_other", "DROP TABLE leak_note")
    return found + await _try(ctx, "SET LOCAL row_security = off", "SELECT body FROM leak_note")


async def catalogues(ctx: Context, world: World) -> Any:
    """SQLite's tables about itself tell the names of the nets; another file would have none."""
    if not world.sqlite:
        return None
    return await _try(
        ctx,
        "SELECT sql FROM sqlite_temp_master",
        "SELECT sql FROM sqlite_master",
        "WITH x AS (SELECT sql FROM sqlite_temp_master) SELECT * FROM x",
        "WITH x AS (SELECT sql FROM main.sqlite_master) SELECT * FROM x",
        "SELECT * FROM pragma_table_info('leak_note')",
        "PRAGMA table_info(leak_note)",
        f"ATTACH '{world.kit.database.path}' AS other",
        "SELECT body FROM other.leak_note",
        "VACUUM INTO 'copy.db'",
    )


async def rows_made_of_json(ctx: Context, world: World) -> Any:
    """`json_each` is a table that every policed connection may read; what it is given is policed as ever."""
    if not world.sqlite:
        found = await _try(ctx, "SELECT row_to_json(leak_note) FROM leak_note", "SELECT leak_note FROM leak_note")
        return secrets(found)
    return await _try(
        ctx,
        "SELECT value FROM json_each((SELECT json_group_array(body) FROM leak_note))",
        "SELECT value FROM json_each((SELECT json_group_array(body) FROM main.leak_note))",
        "WITH json_each AS (SELECT body FROM main.leak_note) SELECT * FROM json_each",
    )


async def another_role(ctx: Context, world: World) -> Any:
    if world.sqlite:
        return None
    await _try(
        ctx,
        "SET ROLE corekit_service",
        "SET ROLE corekit_owner",
        "SET ROLE corekit_definer",
        "RESET ROLE",
        "SET SESSION AUTHORIZATION corekit_service",
        "RESET SESSION AUTHORIZATION",
    )
    return await _try(ctx, "SELECT body FROM leak_note")


async def predicate_about_somebody_else(ctx: Context, world: World) -> Any:
    """Each is asked directly, with the actor of whom it would be true."""
    if world.sqlite:  # they are no functions there
        return None
    about = {"room": HIS, "bob": BOB.id}
    asked = ("leak_sits(:room, :bob)", "leak_keeps_seat(:room, 'member', :bob)")
    return [one for call in asked for one in await _try(ctx, f"SELECT 1 WHERE {call}", **about)]


async def copied_and_declared(ctx: Context, world: World) -> Any:
    if world.sqlite:
        return None
    found = await _try(ctx, "DECLARE look CURSOR FOR SELECT body FROM leak_note", "FETCH ALL FROM look")
    raw: Any = await (await ctx.session.connection()).get_raw_connection()
    out: list[bytes] = []

    async def write(data: bytes) -> None:
        out.append(data)

    await raw.driver_connection.copy_from_query("SELECT body FROM leak_note", output=write)
    return [*found, *secrets(out), *await _copied(raw, write, out)]


async def _copied(raw: Any, write: Any, out: list[bytes]) -> list[bytes]:
    out.clear()
    await raw.driver_connection.copy_from_table("leak_note", output=write)
    return secrets(out)


async def _try(ctx: Context, *statements: str, **parameters: Any) -> list[Any]:
    """Run each in a savepoint, so that a refusal leaves the next one its chance; return what was seen."""
    found: list[Any] = []
    for statement in statements:
        try:
            async with ctx.session.begin_nested():
                result = await ctx.session.execute(text(statement), parameters)
                rows = [tuple(row) for row in result.all()] if result.returns_rows else []
        except REFUSED:
            continue
        found += [(statement, row) for row in rows if _tells(row)]
    return found


def _tells(row: tuple[Any, ...]) -> bool:
    """Tell whether a row gives anything away: whatever is neither Alice's nor nothing."""
    return any(value not in ("mine", None, 0) for value in row)


def _bound(world: World, id_: UUID) -> Any:
    return id_.bytes if world.sqlite else id_


def _hex(id_: UUID) -> str:
    return f"x'{id_.hex}'"


def _blob(world: World) -> str:
    return "x'00'" if world.sqlite else "'\\x00'::bytea"


def _now(ctx: Context, world: World) -> Any:
    return 1 if world.sqlite else ctx.now()
