"""`corekit jobs list | retry | bury | drop`: looking after jobs, above all buried ones."""

from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from corekit.cli.audit import record
from corekit.cli.options import configuration, load, run
from corekit.context import Context
from corekit.contracts.audit import Target
from corekit.jobs.engine import Job, JobEngine, State, Which
from corekit.jobs.runner import system
from corekit.kit import Corekit

STATES: tuple[State, ...] = ("queued", "leased", "buried")


@click.group()
def jobs() -> None:
    """Look after jobs: those that wait (queued), run (leased) or failed for good (buried).

    An event is one job per listener. A payload is never printed.
    """


def chosen(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which jobs are meant, and hand on what they say."""

    @wraps(command)
    def call(
        ids: tuple[UUID, ...],
        listener: str | None,
        limit: int,
        path: Path | None,
        env: str | None,
        database: str | None,
        data_dir: Path | None,
        **options: Any,
    ) -> None:
        kit = Corekit.load(load(path, env, database, data_dir))
        command(Which(ids=ids, listener=listener, limit=limit), kit, **options)

    call = click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")(
        call
    )
    call = click.option("--listener", metavar="NAME", help="Those of one listener or job, as in `chat.push`.")(call)
    return click.argument("ids", metavar="[ID]...", nargs=-1, type=click.UUID)(configuration(call))


@jobs.command("list")
@click.option("--state", "states", type=click.Choice(STATES), multiple=True, help="In this state; may be repeated.")
@chosen
def list_(which: Which, kit: Corekit, states: tuple[State, ...]) -> None:
    """List jobs, the newest first: id, state, attempts, due time, listener, last error."""
    which = Which(which.ids, states, which.listener, which.limit)
    found = run(_with(kit, lambda engine, ctx: engine.find(ctx, which)))
    for job in found:
        click.echo(_line(job))
    if len(found) == which.limit:
        click.echo(f"# the newest {which.limit}; more with --limit", err=True)


@jobs.command()
@click.option("--all", "everything", is_flag=True, help="All buried jobs, where neither ID nor --listener is given.")
@chosen
def retry(which: Which, kit: Corekit, *, everything: bool) -> None:
    """Run buried jobs again, with all their attempts. A job whose key is open again stays buried."""
    _demand_choice(which, everything=everything)
    _say(run(_audited(kit, which, "jobs.retried", lambda engine, ctx: engine.retry(ctx, which))), "queued again")


@jobs.command()
@chosen
def bury(which: Which, kit: Corekit) -> None:
    """Put queued jobs aside; `retry` brings them back. Running ones are left alone."""
    _demand_choice(which)
    _say(run(_audited(kit, which, "jobs.buried", lambda engine, ctx: engine.bury_queued(ctx, which))), "buried")


@jobs.command()
@click.option("--state", "states", type=click.Choice(["queued", "buried"]), multiple=True, help="In this state only.")
@click.option("--yes", is_flag=True, help="Yes, delete them for good.")
@chosen
def drop(which: Which, kit: Corekit, states: tuple[State, ...], *, yes: bool) -> None:
    """Delete queued and buried jobs for good: nothing will ever run them. Running ones are left alone."""
    which = Which(which.ids, states, which.listener, which.limit)
    _demand_choice(which)
    if not yes:
        raise click.UsageError("this deletes jobs for good; say --yes if you mean it")
    _say(run(_audited(kit, which, "jobs.dropped", lambda engine, ctx: engine.drop(ctx, which))), "dropped")


async def _with(kit: Corekit, do: Callable[[JobEngine, Context], Awaitable[Any]]) -> Any:
    async with kit.database:
        await kit.schema.demand_current()
        async with system(kit).begin() as ctx:
            return await do(kit.job_engine, ctx)


async def _audited(kit: Corekit, which: Which, action: str, do: Callable[[JobEngine, Context], Awaitable[int]]) -> int:
    """Change jobs, and write down how many and which were meant; nothing where there was none."""
    said = {"listener": which.listener, "states": which.states, "named": len(which.ids)}
    target = Target("job", next(iter(which.ids))) if len(which.ids) == 1 else None

    async def both(engine: JobEngine, ctx: Context) -> int:
        count = await do(engine, ctx)
        if count:
            await record(ctx, action, {"count": count} | {key: value for key, value in said.items() if value}, target)
        return count

    found: int = await _with(kit, both)
    return found


def _demand_choice(which: Which, *, everything: bool = False) -> None:
    if not (which.ids or which.listener or which.states or everything):
        raise click.UsageError("say which jobs: by ID, or with an option; `corekit jobs list` shows them")


def _say(count: int, what: str) -> None:
    click.echo(f"{count} {'job' if count == 1 else 'jobs'} {what}")


def _line(job: Job) -> str:
    error = " ".join((job.last_error or "").split())
    return f"{job.id}  {job.state:<6}  {job.attempts}  {job.run_after:%Y-%m-%dT%H:%M:%SZ}  {job.listener:<24}  {error}"
