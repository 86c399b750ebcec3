"""What an operator may say about mail and SMS."""

from email.errors import MessageError
from email.headerregistry import Address
from pathlib import Path
from typing import Literal

from corekit.delivery.checks import ADDRESS, UNFIT
from corekit.errors import ConfigError
from corekit.settings import Secret, Settings

Transport = Literal["smtp", "outbox", "off"]
PORTS = {"starttls": 587, "tls": 465, "none": 25}
MAX_PORT, MAX_TIMEOUT = 65_535, 300
LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


class MailSettings(Settings, frozen=True):
    """`[mail]`: `auto` is SMTP where `host` is set, otherwise the development sink in `dev`, otherwise off.

    Without `port`: 587, 465 or 25, as `tls` is. `ca_file` holds the authorities of a server with a private one, in PEM.
    `timeout` is in seconds, for one mail from connecting to the server's answer.
    """

    transport: Literal["auto", "smtp", "outbox", "off"] = "auto"
    host: str = ""
    port: int | None = None
    tls: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: Path | None = None
    username: str = ""
    password: Secret | None = None
    from_address: str = ""
    from_name: str = ""
    timeout: float = 10.0

    def chosen(self, env: str) -> Transport:
        """Return what carries mail in an environment.

        Raises:
            ConfigError: the development sink, outside `dev`.

        """
        if self.transport == "auto" and self.host:
            return "smtp"
        return _chosen("mail", self.transport, env)

    @property
    def _signs_in(self) -> bool:
        return self.password is not None and self.password.reveal() != ""

    def demand_smtp(self) -> None:
        """Refuse what no mail could be sent with (ConfigError, naming the setting)."""
        for refused, sentence in (
            (not self.host, "host is required where mail goes by SMTP"),
            (self.port is not None and not 0 < self.port <= MAX_PORT, f"port must be 1 to {MAX_PORT}"),
            (not 0 < self.timeout <= MAX_TIMEOUT, f"timeout must be more than 0 and at most {MAX_TIMEOUT} seconds"),
            (
                not _may_send(self.from_address),
                "from_address is required where mail goes by SMTP: one plain address, as in app@example.com",
            ),
            (UNFIT.search(self.from_name), "from_name must be one line without control characters and encoded words"),
            (self.ca_file is not None and not self.ca_file.is_file(), f"ca_file: no file at {self.ca_file}"),
            (bool(self.username) != self._signs_in, "username and password belong together: set both or neither"),
            (
                self._signs_in and self.tls == "none" and self.host not in LOOPBACK,
                'tls = "none" would send the password in clear: use "starttls" or "tls"',
            ),
        ):
            if refused:
                raise ConfigError(f"[mail] {sentence}")


class SmsSettings(Settings, frozen=True):
    """`[sms]`: `auto` is the development sink in `dev`, otherwise off; what sends for real is a plugin's."""

    transport: Literal["auto", "outbox", "off"] = "auto"

    def chosen(self, env: str) -> Transport:
        """Return what carries SMS in an environment.

        Raises:
            ConfigError: the development sink, outside `dev`.

        """
        return _chosen("sms", self.transport, env)


def _may_send(address: str) -> bool:
    if UNFIT.search(address) or not (address.isascii() and ADDRESS.fullmatch(address)):
        return False
    try:
        Address(addr_spec=address)
    except (ValueError, MessageError):
        return False
    return True


def _chosen(table: str, transport: Literal["auto", "smtp", "outbox", "off"], env: str) -> Transport:
    if transport == "auto":
        return "outbox" if env == "dev" else "off"
    if transport == "outbox" and env != "dev":
        raise ConfigError(
            f'[{table}] transport = "outbox" is for development: in {env} nothing would ever arrive; '
            f'use {"smtp" if table == "mail" else "a plugin that sends"}, or say "off"'
        )
    return transport
