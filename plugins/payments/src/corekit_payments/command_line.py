"""`corekit payments …`: what an operator looks up, and the sandbox's own journal."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal, TypeVar, get_args

import click
import msgspec

from corekit.cli.options import configuration, load, run
from corekit.context import Context
from corekit.contracts.payments import Operation, OutcomeUnknown, Payment, PaymentQuery, PaymentStatus
from corekit.errors import NotFound
from corekit.kit import Corekit
from corekit.values import SystemClock
from corekit_payments import reading
from corekit_payments.ledger import Balance, balances, broken
from corekit_payments.models import PURPOSE
from corekit_payments.recon import STREAMS, Reconciliation, Run, counted
from corekit_payments.recon.resolving import ItemQuery, ItemStatus, items
from corekit_payments.recon.rows import Stream
from corekit_payments.sandbox import Effect, Journal, Sandbox, journal_of
from corekit_payments.sandbox.command import serve, settings_of
from corekit_payments.sandbox.sending import send
from corekit_payments.sandbox.starting import secrets_of
from corekit_payments.settings import PaymentsSettings

T = TypeVar("T")


@click.command("list")
@click.option("--status", type=click.Choice(get_args(PaymentStatus)), help="Only those of this status.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="At most so many.")
@configuration
def list_(
    status: PaymentStatus | None,
    limit: int,
    path: Path | None,
    env: str | None,
    database: str | None,
    data_dir: Path | None,
) -> None:
    """List payments without a tenant, the newest first: id, time, status, amount in minor units, captured, refunded."""
    kit = Corekit.load(load(path, env, database, data_dir))
    page = run(_with(kit, lambda ctx: reading.page(ctx, PaymentQuery(status=status, limit=limit))))
    for payment in page.items:
        click.echo(_line(payment))
    if not page.items:
        click.echo("# there are none", err=True)
    elif page.next is not None:
        click.echo(f"# the newest {limit}; more with --limit", err=True)


@click.command()
@click.argument("id_", metavar="ID")
@configuration
def show(id_: str, path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> None:
    """Print one payment and what was asked of its provider, as JSON. ID is pay_…."""
    kit = Corekit.load(load(path, env, database, data_dir))

    async def both(ctx: Context) -> tuple[Payment, list[Operation]]:
        payment = reading.parsed(id_)
        return await reading.read(ctx, payment), await reading.operations(ctx, payment)

    try:
        payment, operations = run(_with(kit, both))
    except NotFound:
        raise click.UsageError(f"there is no payment {id_}; `corekit payments list` shows what there is") from None
    shown = msgspec.json.encode({"payment": payment, "operations": operations})
    click.echo(msgspec.json.format(shown, indent=2).decode())


@click.command()
@configuration
def ledger(path: Path | None, env: str | None, database: str | None, data_dir: Path | None) -> None:
    """Print each account without a tenant, in minor units: debits, credits, balance.

    What does not agree between payments, their operations and the ledger, of any tenant, is listed on
    stderr, and the exit code is 1.
    """
    kit = Corekit.load(load(path, env, database, data_dir))

    async def both(ctx: Context) -> tuple[list[Balance], dict[str, list[str]]]:
        return await balances(ctx), await broken(ctx)

    accounts, wrong = run(_with(kit, both))
    for one in accounts:
        sums = f"{one.debit:>16}  {one.credit:>16}  {one.debit - one.credit:>16} {one.currency}"
        click.echo(f"{one.code:<40}  {sums}")
    for name, rows in wrong.items():
        click.echo(f"{name}: {', '.join(rows)}", err=True)
    if wrong:
        raise SystemExit(1)


@click.command("items")
@click.option("--status", type=click.Choice(get_args(ItemStatus)), default="open", show_default=True, help="Which.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="At most so many.")
@configuration
def items_(
    status: ItemStatus, limit: int, path: Path | None, env: str | None, database: str | None, data_dir: Path | None
) -> None:
    """List what differs from providers' books, without a tenant, the newest first: id, time, kind, instance, names.

    They are resolved over HTTP, by a person with a name.
    """
    kit = Corekit.load(load(path, env, database, data_dir))
    page = run(_with(kit, lambda ctx: items(ctx, ItemQuery(status=status, limit=limit))))
    for one in page.items:
        names = f"{one.operation or '-'}  {one.provider_ref or '-'}"
        click.echo(f"{one.id}  {one.created_at:%Y-%m-%d %H:%M:%S}  {one.kind:<16}  {one.provider:<16}  {names}")
    if not page.items:
        click.echo("# there are none", err=True)
    elif page.next is not None:
        click.echo(f"# the newest {limit}; more with --limit", err=True)


@click.command()
@click.option("--instance", multiple=True, help="Only this one, the name below [payments.providers]; may be repeated.")
@click.option("--stream", multiple=True, type=click.Choice(list(STREAMS)), help="Only this one; may be repeated.")
@configuration
def reconcile(
    *,
    instance: tuple[str, ...],
    stream: tuple[Stream, ...],
    path: Path | None,
    env: str | None,
    database: str | None,
    data_dir: Path | None,
) -> None:
    """Hold what providers list, and have paid out, against the books now, whatever rests after a failure.

    A server may run beside it. Progress goes to stderr. The exit code is 1 where a run did not come
    to its end, or another goes on.
    """
    config = load(path, env, database, data_dir, payments={"sweep": False}, jobs={"worker": False})
    kit = Corekit.load(config)
    if kit.database.dialect == "postgresql":  # SQLite has one server, whose bus is its own memory
        kit = Corekit.load(config, alone=False)
    done = run(_reconciled(kit, instance, stream))
    for name, counts in done.items():
        click.echo(f"{name:<32}  {counts if counts is not None else 'did not come to its end; the log says why'}")
    if None in done.values():
        raise SystemExit(1)


@click.group()
def sandbox() -> None:
    """Look at what the sandbox did, be the payer who approves, or run it as a process of its own."""


sandbox.add_command(serve)


@sandbox.command()
@click.option("--to", help="Send them to the server at this address, as http://127.0.0.1:8000.")
@click.option("--after", type=click.IntRange(0), default=0, help="Leave out so many, the oldest.")
@click.option("--copies", type=click.IntRange(1, 100), default=1, show_default=True, help="Each so often.")
@click.option("--seed", type=int, help="In an order of chance, the same for the same number.")
@click.option("--instance", default="sandbox", show_default=True, help="The name below [payments.providers].")
@configuration
def notices(
    *,
    to: str | None,
    after: int,
    copies: int,
    seed: int | None,
    instance: str,
    path: Path | None,
    env: str | None,
    database: str | None,
    data_dir: Path | None,
) -> None:
    """Sign what the sandbox has to tell, and print it or send it: headers and body, a line of JSON for each notice."""
    kit = Corekit.load(load(path, env, database, data_dir))
    settings = kit.config.table("payments", PaymentsSettings)
    journal = _journal(kit, instance)
    secrets = secrets_of(settings.providers[instance])
    provider = Sandbox(instance, journal, SystemClock(), secrets=secrets, live=settings.live)
    for headers, raw in provider.notices(after, copies=copies, seed=seed):
        if to is not None:
            click.echo(send(f"{to.rstrip('/')}/payments/v1/webhooks/{instance}", headers, raw))
        else:
            click.echo(msgspec.json.encode({"headers": headers, "body": raw.decode()}).decode())


@sandbox.command()
@click.option("--instance", default="sandbox", show_default=True, help="The name below [payments.providers].")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one line per effect.")
@configuration
def journal(
    *,
    instance: str,
    as_json: bool,
    path: Path | None,
    env: str | None,
    database: str | None,
    data_dir: Path | None,
) -> None:
    """List what the sandbox has held, taken, released and given back, whatever the books say, the oldest first."""
    for effect in _journal(Corekit.load(load(path, env, database, data_dir)), instance).effects():
        click.echo(msgspec.json.encode(effect).decode() if as_json else _effect(effect))


@sandbox.command()
@click.argument("ref")
@click.argument("verdict", type=click.Choice(["approve", "refuse"]))
@click.option("--instance", default="sandbox", show_default=True, help="The name below [payments.providers].")
@configuration
def decide(
    ref: str,
    verdict: str,
    instance: str,
    path: Path | None,
    env: str | None,
    database: str | None,
    data_dir: Path | None,
) -> None:
    """Approve or refuse what waits for its payer (tok_3ds, tok_upi_qr). REF is the operation's `provider_ref`."""
    provider = Sandbox(instance, _journal(Corekit.load(load(path, env, database, data_dir)), instance), SystemClock())
    try:
        run(provider.decide(ref, approve=verdict == "approve"))
    except OutcomeUnknown:
        raise click.UsageError(f"nothing waits for a decision at {ref}") from None
    click.echo("decided; a server hears of it when it looks next, at once where a client asks", err=True)


@sandbox.command()
@click.argument("ref")
@click.argument("word", type=click.Choice(["opened", "under_review", "won", "lost"]))
@click.option("--instance", default="sandbox", show_default=True, help="The name below [payments.providers].")
@configuration
def dispute(
    ref: str,
    word: Literal["opened", "under_review", "won", "lost"],
    instance: str,
    path: Path | None,
    env: str | None,
    database: str | None,
    data_dir: Path | None,
) -> None:
    """Dispute what was taken (opened), or decide a dispute. REF is the operation's `provider_ref`, then the dispute's.

    Prints the dispute's REF.
    """
    provider = Sandbox(instance, _journal(Corekit.load(load(path, env, database, data_dir)), instance), SystemClock())
    try:
        found = run(provider.dispute(ref) if word == "opened" else provider.judge(ref, word))
    except OutcomeUnknown as error:
        raise click.UsageError(f"{ref}: {error}") from None
    click.echo(found.provider_ref)
    click.echo("a server hears of it when it looks next: POST /payments/v1/operations/{id}/check", err=True)


async def _with(kit: Corekit, do: Callable[[Context], Awaitable[T]]) -> T:
    kit.load_keyring()
    async with kit.database:
        await kit.schema.demand_current()
        async with kit.caller().system(PURPOSE).begin(readonly=True) as ctx:
            return await do(ctx)


async def _reconciled(
    kit: Corekit, wanted: tuple[str, ...], wanted_streams: tuple[Stream, ...]
) -> dict[str, str | None]:
    """Run each instance in its turn, and write down what became of its rows."""
    async with kit:
        streams = kit.get(Reconciliation)
        every = {one.name: one for one in streams.providers.every()}
        if unknown := set(wanted) - every.keys():
            raise click.UsageError(f"not enabled: {', '.join(sorted(unknown))}; there are {', '.join(every)}")
        done: dict[str, str | None] = {}
        for name in wanted or every:
            for stream in wanted_streams or STREAMS:
                ended = await streams.run(stream, every[name], now=True, progress=_progress)
                done[f"{name} {stream}"] = None if ended is None else counted(ended)
        return done


def _progress(going: Run) -> None:
    click.echo(f"# {going.provider} {going.stream}: {counted(going)}", err=True)


def _journal(kit: Corekit, instance: str) -> Journal:
    settings_of(kit, instance)
    return Journal(journal_of(kit.database.data_dir, instance))


def _line(payment: Payment) -> str:
    money = f"{payment.amount.minor} {payment.amount.currency}"
    moved = f"{payment.totals.captured}  {payment.totals.refunded}"
    return f"{payment.id}  {payment.created_at:%Y-%m-%d %H:%M:%S}  {payment.status:<23}  {money:>18}  {moved}"


def _effect(effect: Effect) -> str:
    money = f"{effect.amount:>12} {effect.currency}"
    return f"{effect.at[:19]}  {effect.kind:<9}  {money}  {effect.ref}  {effect.reference}"
