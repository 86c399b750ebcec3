"""Settings: where a value may come from, which one wins, and what never shows."""

import copy
import pickle
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from corekit import Plugin, Secret, Settings
from corekit.assembly import discover
from corekit.built_in import TABLES
from corekit.data import DatabaseSettings
from corekit.data.crypto import KeyringSettings
from corekit.errors import ConfigError, PluginError
from corekit.kit import KitSettings
from corekit.settings import Config


class ShopSettings(Settings, frozen=True):
    """Settings of every type that a plugin may use."""

    max_items: int = 10
    open: bool = False
    currencies: tuple[str, ...] = ("EUR",)
    mode: Literal["fast", "safe"] = "safe"
    key: Secret | None = None
    keys: dict[str, Secret] = {}
    folder: Path = Path("./shop")
    callback: str = ""


FILE = """
[shop]
max_items = 20
open = true
[env.prod.shop]
max_items = 30
[env.dev.shop]
mode = "fast"
"""


def written(tmp_path: Path, text: str = FILE) -> Path:
    path = tmp_path / "corekit.toml"
    path.write_text(text)
    return path


def shop(config: Config) -> ShopSettings:
    return config.table("shop", ShopSettings)


def test_each_layer_overrides_the_one_before(tmp_path: Path) -> None:
    path, secret = written(tmp_path), tmp_path / "items"
    secret.write_text("50\n")
    variable = {"COREKIT_SHOP__MAX_ITEMS": "40"}
    file = variable | {"COREKIT_SHOP__MAX_ITEMS_FILE": str(secret)}
    assert shop(Config.load(environ={})).max_items == 10
    assert shop(Config.load(path, environ={})).max_items == 20
    assert shop(Config.load(path, "prod", environ={})).max_items == 30
    assert shop(Config.load(path, "prod", environ=variable)).max_items == 40
    assert shop(Config.load(path, "prod", environ=file)).max_items == 50
    assert shop(Config.load(path, "prod", environ=file, overrides={"shop": {"max_items": 60}})).max_items == 60


def test_layers_merge_key_by_key(tmp_path: Path) -> None:
    settings = shop(Config.load(written(tmp_path), "prod", environ={"COREKIT_SHOP__MODE": "fast"}))
    assert (settings.max_items, settings.open, settings.mode, settings.currencies) == (30, True, "fast", ("EUR",))


def test_environment_variables_are_texts_and_json(tmp_path: Path) -> None:
    environ = {
        "COREKIT_SHOP__OPEN": "true",
        "COREKIT_SHOP__CURRENCIES": '["EUR", "INR"]',
        "COREKIT_SHOP__KEYS": '{"a": "hush"}',
        "COREKIT_SHOP__FOLDER": "goods",
        "COREKIT_SHOP__CALLBACK": "[not json",
        "COREKIT_OTHER": "of no table",
    }
    settings = shop(Config.load(environ=environ))
    assert settings.open is True
    assert settings.currencies == ("EUR", "INR")
    assert settings.keys["a"].reveal() == "hush"
    assert settings.folder == Path("goods")
    assert settings.callback == "[not json"


def test_the_file_is_found_by_option_by_variable_and_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path)
    assert Config.load(environ={"COREKIT_CONFIG": str(path)}).path == path
    monkeypatch.chdir(tmp_path)
    assert Config.load(environ={}).path == Path("corekit.toml")
    with pytest.raises(ConfigError, match=r"no configuration file at missing\.toml"):
        Config.load("missing.toml", environ={})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_items = ", r"corekit\.toml: Invalid"),
        ("loose = 1", "'loose' stands outside any table"),
        ("env = 'prod'", r"\[env\] in .* holds tables"),
        ("[env]\ndev = 1", r"\[env\] in .* holds tables"),
        ("[env.dev]\nloose = 1", "'loose' stands outside any table"),
    ],
)
def test_a_file_that_cannot_be_used(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        Config.load(written(tmp_path, text), environ={})


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"COREKIT_SHOP__MAX_ITMES": "1"},
            r"\[shop\] has no setting 'max_itmes' \(\$COREKIT_SHOP__MAX_ITMES\); did you mean 'max_items'\?",
        ),
        ({"COREKIT_SHOP__Q": "1"}, r"has no setting 'q' .*; known: callback, currencies, folder, key, keys, max_items"),
        ({"COREKIT_SHOP__MAX_ITEMS": "many"}, r"Expected `int`, got `str` - at `shop\.max_items` \(\$COREKIT_SHOP"),
        ({"COREKIT_SHOP__MODE": "slow"}, r"Invalid enum value 'slow' - at `shop\.mode`"),
        ({"COREKIT_SHOP__KEY": '{"a": 1}'}, r"Expected `str`, got `dict` - at `shop\.key`"),
        ({"COREKIT_SHOP__KEY_FILE": "nowhere"}, "COREKIT_SHOP__KEY_FILE: cannot read nowhere: .*No such file"),
    ],
)
def test_a_wrong_value_names_its_key_its_origin_and_what_is_allowed(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        shop(Config.load(environ=environ))


def test_a_wrong_value_in_a_file_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"at `shop\.key` \(.*corekit\.toml\)"):
        shop(Config.load(written(tmp_path, "[shop]\nkey = 5"), environ={}))


def test_dev_is_implied_on_loopback_only(tmp_path: Path) -> None:
    def env(host: str, **environ: str) -> str:
        return Config.load(environ=environ, overrides={"web": {"host": host}}).env

    assert {env("127.0.0.1"), env("localhost"), env("::1"), Config.load(environ={}).env} == {"dev"}
    assert env("0.0.0.0", COREKIT_ENV="staging") == "staging"  # noqa: S104  # nothing listens
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.com"):  # noqa: S104
        with pytest.raises(ConfigError, match="needs a named environment: use --env or COREKIT_ENV"):
            env(host)


def test_an_environment_that_the_file_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"environment 'pord' is not in .*: it has dev, prod"):
        Config.load(written(tmp_path), "pord", environ={})
    assert Config.load(environ={}, env="any").env == "any"


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret("hunter2")
    settings = ShopSettings(key=secret, keys={"a": secret})
    shown = [repr(secret), str(secret), f"{secret}", f"{settings}", repr(msgspec.structs.asdict(settings))]
    assert not [text for text in shown if "hunter2" in text]
    for leak in (pickle.dumps, copy.deepcopy, msgspec.json.encode, hash, vars):
        with pytest.raises(TypeError):
            leak(secret)
    assert secret == Secret("hunter2") != Secret("hunter3")
    assert secret != "hunter2"
    assert secret.reveal() == "hunter2"


def test_a_wrong_secret_is_not_in_the_message(tmp_path: Path) -> None:
    config = Config.load(written(tmp_path, "[keyring.keys]\nk1 = ['hunter2']"), environ={})
    with pytest.raises(ConfigError) as caught:
        config.table("keyring", KeyringSettings)
    assert "hunter2" not in str(caught.value)


def explained(config: Config, name: str, type_: type[Settings]) -> dict[str, tuple[str, str]]:
    return {key: (value, origin) for key, value, origin in config.explain(name, type_)}


def test_explain_tells_values_and_origins_and_hides_secrets(tmp_path: Path) -> None:
    environ = {"COREKIT_SHOP__KEY": "hunter2", "COREKIT_SHOP__KEYS": '{"a":"hunter2"}'}
    path = written(tmp_path)
    config = Config.load(path, "prod", environ=environ, overrides={"shop": {"mode": "fast"}})
    rows = explained(config, "shop", ShopSettings)
    assert rows["shop.max_items"] == ("30", f"{path} [env.prod]")
    assert rows["shop.open"] == ("true", str(path))
    assert rows["shop.mode"] == ('"fast"', "command line")
    assert rows["shop.folder"] == ('"shop"', "default")
    assert rows["shop.key"] == ("set", "$COREKIT_SHOP__KEY")
    assert rows["shop.keys"] == ('{"a":"set"}', "$COREKIT_SHOP__KEYS")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:hunter2@db.example/app", "postgresql://ann:***@db.example/app"),
        ("postgresql://ann:hun:ter2@db/app", "postgresql://ann:***@db/app"),
        ("postgresql://:hunter2@db/app", "postgresql://:***@db/app"),
        ("postgresql://db/app?user=ann&password=hunter2&ssl=on", "postgresql://db/app?user=ann&password=***&ssl=on"),
        ("postgresql://db:5432/app", "postgresql://db:5432/app"),
        ("sqlite:///app.db", "sqlite:///app.db"),
    ],
)
def test_explain_hides_the_password_in_a_url(url: str, shown: str) -> None:
    config = Config.load(environ={"COREKIT_DATABASE__URL": url})
    assert explained(config, "database", DatabaseSettings)["database.url"][0] == f'"{shown}"'


def test_every_table_that_the_core_reads_is_known() -> None:
    """Whatever reads a table must have it in `TABLES`, or setting it would be an error."""
    for name in TABLES:
        Config.load(environ={}, overrides={name: {}}).table(name, KitSettings)
    sources = (path.read_text() for path in (Path(__file__).parents[1] / "src" / "corekit").rglob("*.py"))
    read = {name for text in sources for name in _tables(text)}
    assert read <= set(TABLES), read - set(TABLES)


def _tables(text: str) -> list[str]:
    return [part.partition('"')[0] for part in text.split('config.table("')[1:]]


def test_a_plugin_has_its_settings_from_the_configuration_or_its_maker() -> None:
    class Shop(Plugin[ShopSettings]):
        name = "shop"

    config = Config.load(environ={"COREKIT_SHOP__MAX_ITEMS": "40"})
    given, configured = Shop(ShopSettings(max_items=1)), Shop()
    with pytest.raises(PluginError, match="no settings before it is part of a kit"):
        _ = configured.settings
    for plugin in (given, configured):
        plugin.configure(config)
    assert (given.settings.max_items, configured.settings.max_items) == (1, 40)


def test_the_defaults_of_every_plugin_are_valid() -> None:
    for plugin in discover(None):
        plugin.configure(Config.load(environ={}))
        assert isinstance(plugin.settings, plugin.settings_type)
