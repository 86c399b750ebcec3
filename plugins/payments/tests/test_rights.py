"""What may be held: every permission that payments ask for is declared, and nobody holds one by default."""

import re
from pathlib import Path
from typing import Any

from corekit.context import NOBODY, Actor
from corekit.guard.permissions import permissions_of
from corekit_payments import rights

SOURCES = Path(rights.__file__).parent


async def test_what_is_asked_for_is_declared(kit: Any) -> None:
    """Red when a module asks for a permission that no operator can know of."""
    texts = [path.read_text("utf-8") for path in SOURCES.rglob("*.py")]
    asked = {name for text in texts for name in re.findall(r"\"(payments:[a-z]+:[a-z]+)\"", text)}
    declared = {name: one for name, one in (await permissions_of(kit.hooks)).items() if name.startswith("payments:")}
    assert asked == set(declared)
    assert all(one.description and "." not in one.description for one in declared.values())


async def test_nobody_holds_one_by_default(counter: Any) -> None:
    for actor in (NOBODY, Actor("alice"), Actor("bob")):
        assert counter.kit.permissions(actor) == frozenset()
