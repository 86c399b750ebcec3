"""The page of limits says what the settings say, and so does the route for administrators."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from corekit_auth.settings import AuthSettings

PAGE = Path(__file__).parents[3] / "docs/reference/limits.md"
PER = {
    "network address": "ip",
    "network (/24, /64)": "prefix",
    "session": "session",
    "mail address or number": "address",
    "server": "global",
}
SECONDS = {"min": 60, "h": 3600}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """None of this depends on the database."""
    return sqlite_url


def rows(section: str) -> list[list[str]]:
    """Read the table of a section: the cells of each row below its head."""
    text = PAGE.read_text("utf-8").split(f"## {section}\n")[1].split("\n## ")[0]
    lines = [line.strip("| ") for line in text.splitlines() if line.startswith("| ")]
    return [re.split(r"\s*\|\s*", line) for line in lines[2:]]


def rates() -> dict[str, dict[str, Any]]:
    found = {}
    for setting, _, per, rate, burst in rows("Rates"):
        count, many, unit = re.fullmatch(r"(\d+) in (\d+) (min|h)", rate).groups()  # type: ignore[union-attr]
        found[setting.strip("`").removesuffix("_rate")] = {
            "kind": PER[per], "count": int(count), "period": int(many) * SECONDS[unit], "burst": int(burst),
        }  # fmt: skip
    return found


async def test_the_rates_of_the_page_are_those_in_force(
    web: Callable[..., httpx.AsyncClient], service_key: str
) -> None:
    """Red where a default changes, or a class of limits is added, and the page is left as it was."""
    async with web(service_key) as client:
        shown = (await client.get("/admin/x/limits")).json()["limits"]
    assert rates() == {limit.pop("name"): limit for limit in shown}
    rules = AuthSettings().rules
    assert rates() == {
        name: {"kind": r.kind, "count": r.count, "period": r.period, "burst": r.burst} for name, r in rules.items()
    }


@pytest.mark.parametrize("section", ["Guesses", "Sizes"])
def test_the_other_numbers_are_the_defaults(section: str) -> None:
    settings, told = AuthSettings(), {cells[0].strip("`"): float(cells[1]) for cells in rows(section)}
    assert len(told) > 5
    assert told == {name: getattr(settings, name) for name in told}
    if section == "Guesses":
        assert {name for name in AuthSettings.__struct_fields__ if name.startswith("failures_")} < told.keys()
