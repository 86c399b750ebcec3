"""What newcomers and operators read is true: the README's code, the example environment, the configuration."""

import re
from pathlib import Path

import pytest

from corekit.cli.config import tables
from corekit.kit import Corekit
from corekit.settings import Config

ROOT = Path(__file__).parents[2]
SHOWN = ["examples/in_fastapi.py", "examples/third_party_plugin/src/corekit_polite/__init__.py"]
TEST_ONLY = {"COREKIT_TEST_DATABASES", "COREKIT_TEST_POSTGRES"}


def test_the_readme_shows_the_examples_as_they_are() -> None:
    shown = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert shown == [(ROOT / name).read_text("utf-8") for name in SHOWN]


def test_the_example_environment_sets_what_exists() -> None:
    """Every assignment in it, taken at its word, is a setting with a value of the right kind."""
    text = (ROOT / ".env.example").read_text("utf-8")
    given = dict(re.findall(r"^# (COREKIT_\w+)=(.*)$", text, re.MULTILINE))
    assert {"COREKIT_ENV", "COREKIT_CONFIG"} < given.keys()
    values = {name: value for name, value in given.items() if "__" in name and not name.endswith("_FILE")}
    config = Config.load(ROOT / "reference_server/corekit.toml", "dev", environ=values)
    known = tables(Corekit.load(config))
    for name, type_ in known.items():
        config.table(name, type_)
    for name in given.keys() - values.keys() - {"COREKIT_ENV", "COREKIT_CONFIG"}:
        table, key = name.removeprefix("COREKIT_").removesuffix("_FILE").lower().split("__")
        assert key in known[table].__struct_fields__, name


EVERY = ["auth", "realtime", "chat", "payments"]


@pytest.mark.parametrize(
    ("env", "plugins"), [("dev", EVERY), ("staging", EVERY), ("prod", ["auth", "realtime", "chat"])]
)
def test_the_reference_configuration_makes_a_kit(env: str, plugins: list[str]) -> None:
    config = Config.load(ROOT / "reference_server/corekit.toml", env, environ={})
    kit = Corekit.load(config)
    assert [plugin.name for plugin in kit.plugins] == plugins
    for name, type_ in tables(kit).items():
        config.table(name, type_)


def test_every_link_of_the_readme_leads_somewhere() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"):
        for target in re.findall(r"\]\((?!http)([^)#]+)", (ROOT / name).read_text("utf-8")):
            assert (ROOT / target).exists(), f"{name}: {target}"
