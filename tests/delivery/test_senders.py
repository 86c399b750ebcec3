"""Which senders a kit has: by environment, by settings, or a plugin's."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from corekit import Caller, Corekit, Kit, Plugin, Settings
from corekit.contracts.delivery import Mail, MailSender, Outcome, Sent, Sms, SmsSender
from corekit.delivery import OutboxMail, OutboxSms
from corekit.delivery.smtp import SmtpMail
from corekit.errors import ConfigError, PluginError
from corekit.settings import Config
from corekit.testing import make_kit

SMTP = {"host": "smtp.example.com", "from_address": "app@example.com"}
LOGIN = {"username": "app", "password": "secret"}


class OwnMail(MailSender):
    """A provider of one's own."""

    def __init__(self) -> None:
        self.got: list[Mail] = []

    async def send(self, caller: Caller, mail: Mail) -> Outcome:
        caller.demand_free("sending mail")
        self.got.append(mail)
        return Sent("own")


class OwnMailPlugin(Plugin[Settings]):
    """Brings it."""

    name = "own_mail"
    provides = (MailSender,)

    @asynccontextmanager
    async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:
        kit.provide(MailSender, OwnMail())
        yield


class LetterPlugin(Plugin[Settings]):
    """Sends mail at its start, so it needs to come after who brings the sender."""

    name = "letter"
    requires = (MailSender, SmsSender)

    @asynccontextmanager
    async def lifespan(self, kit: Kit) -> AsyncGenerator[None]:
        await kit.get(MailSender).send(kit.caller(), Mail(to="ann@example.org", subject="Up", text="It is up."))
        yield


def kit_of(env: str, *plugins: Any, **tables: dict[str, Any]) -> Corekit:
    return Corekit(plugins, config=Config.load(env=env, environ={}, overrides=tables))


def kinds(kit: Corekit) -> dict[Any, type[Any]]:
    return {contract: type(sender) for contract, sender in kit._built_in._senders.items()}


@pytest.mark.parametrize(
    ("env", "mail", "sms", "expected"),
    [
        ("dev", {}, {}, {MailSender: OutboxMail, SmsSender: OutboxSms}),
        ("dev", SMTP, {}, {MailSender: SmtpMail, SmsSender: OutboxSms}),
        ("dev", SMTP | {"transport": "outbox"}, {}, {MailSender: OutboxMail, SmsSender: OutboxSms}),
        ("dev", {"transport": "off"}, {"transport": "off"}, {}),
        ("staging", {}, {}, {}),
        ("prod", {}, {}, {}),
        ("prod", SMTP, {}, {MailSender: SmtpMail}),
        ("prod", SMTP | {"transport": "smtp"} | LOGIN, {"transport": "off"}, {MailSender: SmtpMail}),
        ("prod", SMTP | {"transport": "off"}, {}, {}),
    ],
)
def test_the_environment_and_the_settings_choose(
    env: str, mail: dict[str, Any], sms: dict[str, Any], expected: dict[Any, type[Any]]
) -> None:
    assert kinds(kit_of(env, mail=mail, sms=sms)) == expected


@pytest.mark.parametrize("env", ["prod", "staging"])
@pytest.mark.parametrize("table", ["mail", "sms"])
def test_the_sink_is_for_development(env: str, table: str) -> None:
    with pytest.raises(ConfigError, match=rf'^\[{table}\] transport = "outbox" is for development: in {env} nothing'):
        kit_of(env, **{table: {"transport": "outbox"}})


@pytest.mark.parametrize(
    ("mail", "says"),
    [
        ({"transport": "smtp"}, "host is required"),
        ({"host": "smtp.example.com"}, "from_address is required"),
        (SMTP | {"from_address": "App <app@example.com>"}, "from_address"),
        (SMTP | {"from_address": "äpp@example.com"}, "from_address"),
        (SMTP | {"from_name": "App\r\nBcc: eve@example.org"}, "from_name must be one line"),
        (SMTP | {"from_name": "=?utf-8?q?=0d=0aBcc=3a?="}, "from_name must be one line"),
        (SMTP | {"from_address": "a..b@example.com"}, "from_address"),
        (SMTP | {"from_address": "a@b..com"}, "from_address"),
        (SMTP | {"port": 65_536}, "port must be 1 to 65535"),
        (SMTP | {"port": 0}, "port must be 1 to 65535"),
        (SMTP | {"timeout": 0}, "timeout must be more than 0"),
        (SMTP | {"ca_file": "nowhere.pem"}, "ca_file: no file at nowhere.pem"),
        (SMTP | {"username": "app"}, "username and password belong together"),
        (SMTP | {"password": "secret"}, "username and password belong together"),
        (SMTP | {"username": "app", "password": ""}, "username and password belong together"),
        (SMTP | LOGIN | {"tls": "none"}, 'tls = "none" would send the password in clear'),
        (SMTP | {"tls": "always"}, 'allowed: .*"starttls"|Invalid enum value'),
        ({"hots": "smtp.example.com"}, "did you mean 'host'"),
    ],
)
def test_settings_that_could_send_nothing_are_refused_by_name(mail: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as raised:
        kit_of("prod", mail=mail)
    assert "[mail]" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "corekit.delivery.smtp", None)
    with pytest.raises(ConfigError, match=r"install corekit\[mail\]"):
        kit_of("prod", mail=SMTP)


async def test_off_means_that_nobody_sends(tmp_path: Path) -> None:
    off = {"mail": {"transport": "off"}, "sms": {"transport": "off"}}
    async with make_kit(tmp_path=tmp_path, settings=off) as kit:
        assert kit.find(MailSender) is None
        assert kit.find(SmsSender) is None
    with pytest.raises(PluginError, match="letter requires MailSender, which no enabled plugin provides"):
        kit_of("dev", LetterPlugin(), **off)


async def test_a_plugin_brings_its_own(tmp_path: Path) -> None:
    """It stands in for the core's, and is up before those who require one."""
    async with make_kit([LetterPlugin(), OwnMailPlugin()], tmp_path=tmp_path) as kit:
        own = kit.get(MailSender)
        assert isinstance(own, OwnMail)
        assert [mail.subject for mail in own.got] == ["Up"]
        assert isinstance(kit.get(SmsSender), OutboxSms)
        assert await kit.get(SmsSender).send(kit.caller(), Sms(to="491701234567", text="x"))


async def test_a_kit_starts_again_with_its_senders(tmp_path: Path) -> None:
    kit = Corekit([LetterPlugin()], data_dir=tmp_path)
    for _ in range(2):
        async with kit:
            assert isinstance(kit.get(MailSender), OutboxMail)
