"""Rotation: everything comes under the active key while others work, and the old one can go."""

import asyncio
import random
import sys
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from crypto_rows import CardRow, Own, SlotRow, got, put, vault, work  # beside this file
from sqlalchemy import select, text, update

from corekit import Corekit
from corekit.cli.keyring import rotating
from corekit.data import Keyring, Sealed
from corekit.data.crypto import keyfile, rotation
from corekit.data.crypto.columns import KEYS
from corekit.data.people import DataKeys
from corekit.errors import DecryptFailed

PHONE = "+91 98765 43210"


async def count(kit: Corekit) -> Any:
    async with work(kit, readonly=True) as ctx:
        return await rotation.count(ctx.session, Own.registry)


async def test_wrapped_keys_and_direct_values_come_under_the_active_key(
    cards: Corekit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values from before the data keys, also of a composite key, in several batches."""
    monkeypatch.setattr(rotation, "BATCH", 3)
    made = [await put(cards, secret=f"{n}", phone=PHONE, user_id=uuid4()) for n in range(7)]
    async with work(cards) as ctx:
        ctx.session.add_all(SlotRow(shelf=f"{n % 3}", number=n, inside=f"{n}") for n in range(8))
    ring = cards.keyring
    async with work(cards) as ctx:
        for n, card in enumerate(made):
            direct = {
                "secret": Sealed(ring.seal(f"{n}".encode(), f"test_card.secret.{card}")),
                "phone": Sealed(ring.seal(PHONE.encode(), f"test_card.phone.{card}")),
            }
            await ctx.session.execute(update(CardRow).where(CardRow.id == card).values(**direct))
        for n in range(8):
            sealed = Sealed(ring.seal(f"{n}".encode(), f'test_slot.content.["{n % 3}","{n}"]'))
            await ctx.session.execute(update(SlotRow).where(SlotRow.number == n).values(inside=sealed))
    assert await count(cards) == {"dev": (8, 22)}
    new, said = keyfile.add(tmp(cards)), list[str]()
    assert await rotating(cards, said.append, Own.registry) == 0
    assert said[-1] == "SlotRow.inside: 8"
    assert "corekit_dek: 3 …" in said
    assert await count(cards) == {new: (8, 0)}
    keyfile.drop(tmp(cards), "dev")
    cards.load_keyring()
    assert [(row.secret, row.phone) for row in [await got(cards, card) for card in made]] == [
        (f"{n}", PHONE) for n in range(7)
    ]
    async with work(cards, readonly=True) as ctx:
        assert {row.inside for row in await ctx.session.scalars(select(SlotRow))} == {f"{n}" for n in range(8)}


def tmp(kit: Corekit) -> Path:
    assert kit.keyring.file
    return kit.keyring.file


async def test_what_does_not_open_is_counted_and_left(cards: Corekit) -> None:
    card = await put(cards, phone=PHONE)
    bad = await put(cards, user_id=UUID(int=9), phone=PHONE)
    async with work(cards) as ctx:
        await ctx.session.execute(
            text("UPDATE corekit_dek SET key_id = 'gone', wrapped = 'v1.gone.x.y' WHERE subject = :s"),
            {"s": UUID(int=9).bytes if cards.database.dialect == "sqlite" else UUID(int=9)},
        )
    new = keyfile.add(tmp(cards))
    assert await rotating(cards, str, Own.registry) == 1
    assert await count(cards) == {new: (2, 0), "gone": (1, 0)}
    cards.load_keyring()
    assert (await got(cards, card)).phone == PHONE
    with pytest.raises(DecryptFailed, match=r"'gone', which the keyring does not have: put it back"):
        _ = (await got(cards, bad)).phone


def key(letter: bytes) -> str:
    return urlsafe_b64encode(letter * 32).decode().rstrip("=")


async def test_servers_with_settings_rotate_in_two_steps(cards: Corekit) -> None:
    """Add everywhere, then activate: neither the server of before nor that of after meets a key that it lacks."""
    first = Keyring("k1", {"k1": b"1" * 32}, b"i" * 32)
    added = Keyring("k1", {"k1": b"1" * 32, "k2": b"2" * 32}, b"i" * 32)
    activated = Keyring("k2", {"k1": b"1" * 32, "k2": b"2" * 32}, b"i" * 32)
    last = Keyring("k2", {"k2": b"2" * 32}, b"i" * 32)

    def use(ring: Keyring) -> None:
        cards.keyring = ring
        cards.database.carried[KEYS] = DataKeys(ring, cards.clock.now)

    made = []
    for ring in (first, added, activated, added):
        use(ring)
        made.append(await put(cards, user_id=uuid4(), phone=PHONE))
        assert {(await got(cards, card)).phone for card in made} == {PHONE}
    use(activated)
    assert await rotating(cards, str, Own.registry) == 0
    for ring in (added, activated, last):
        use(ring)
        assert {(await got(cards, card)).phone for card in made} == {PHONE}
    use(first)
    with pytest.raises(DecryptFailed, match="'k2'"):
        _ = (await got(cards, made[0])).phone


async def corekit(kit: Corekit, *arguments: str) -> str:
    """Run a command of another process on the same database and keyring."""
    settings = kit.database.settings
    urls = {"COREKIT_DATABASE__OWNER_URL": settings.owner_url, "COREKIT_DATABASE__SERVICE_URL": settings.service_url}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "corekit", *arguments),
        *("--database", settings.url, "--data-dir", str(kit.database.data_dir)),
        env={"COREKIT_KIT__PLUGINS": "[]", "PATH": ""} | {name: url for name, url in urls.items() if url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


async def test_a_rotation_under_load(cards: Corekit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is unreadable at any moment; afterwards the old key is removable, and is removed."""
    cards.database.carried[KEYS] = DataKeys(cards.keyring, cards.clock.now, size=4)  # most reads unwrap again
    made = {await put(cards, user_id=uuid4(), phone=PHONE): PHONE for _ in range(40)}
    over, reads = asyncio.Event(), 0

    async def traffic(n: int) -> None:
        nonlocal reads
        while not over.is_set():
            card = random.choice(list(made))  # noqa: S311  # any will do
            if n % 2:
                made[await put(cards, user_id=uuid4(), phone=f"{n}", secret="hunter2")] = f"{n}"
            else:
                row = await got(cards, card)
                assert (row.phone, row.secret) == (made[card], "hunter2")
                reads += 1

    async with asyncio.TaskGroup() as group:
        for n in range(6):
            group.create_task(traffic(n))
        before = len(made)
        for _ in range(2):
            await corekit(cards, "keyring", "rotate")
        await corekit(cards, "keyring", "drop", "dev")
        over.set()
    assert reads > 10
    assert len(made) > before + 10
    said = await corekit(cards, "keyring", "status")
    assert "dev " not in said
    assert keyfile.read(tmp(cards)).keys.keys() == cards.keyring.names
    async with vault(cards.database.settings, tmp_path) as other:
        assert {card: (await got(other, card)).phone for card in made} == made
