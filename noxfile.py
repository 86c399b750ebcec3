"""The full gate: `uv run nox`, or one part of it, for example `uv run nox -s lint`.

A Python that this machine does not have is skipped with a notice.
"""

import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2026.4"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests", "docs", "alone", "build"]

PYTHONS = ["3.11", "3.12", "3.13"]
DATABASES = ["sqlite", "postgresql"]
PLUGINS = sorted(folder.parent.name for folder in Path("plugins").glob("*/pyproject.toml"))


@nox.session
def lint(session: nox.Session) -> None:
    """Style, layers, and no secret in any file."""
    sync(session, "--only-group", "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports", env={"PYTHONPATH": sources()})
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = session.run(*command, external=True, silent=True, log=False) or ""
    files = [name for name in listed.split("\0") if name and name != ".secrets.baseline" and Path(name).is_file()]
    scan = ["detect-secrets-hook", "--no-verify", "--baseline", ".secrets.baseline", *files]
    if found := session.run(*scan, silent=True, log=False, success_codes=[0, 1]):
        session.error(str(found))


@nox.session
def types(session: nox.Session) -> None:
    """Type-check with mypy (strict) and pyright (standard)."""
    sync(session)
    session.run("mypy")
    session.run("pyright", "--pythonpath", python_of(session))


@nox.session(python=PYTHONS)
@nox.parametrize("database", DATABASES)
def tests(session: nox.Session, database: str) -> None:
    """Run every test on one Python and one database; arguments after `--` go to pytest."""
    sync(session)
    session.run("pytest", *session.posargs, env={"COREKIT_TEST_DATABASES": database})


@nox.session
def crash(session: nox.Session) -> None:
    """Kill processes that pay 1,000 times on SQLite and 500 times on PostgreSQL, and PostgreSQL itself 100 times."""
    sync(session)
    many = {"COREKIT_CRASH_KILLS": "1000,500", "COREKIT_CRASH_STOPS": "100"}
    session.run("pytest", "-n", "2", "-rP", "plugins/payments/tests/crash", *session.posargs, env=many)


@nox.session
def machine(session: nox.Session) -> None:
    """Hold payments against their model, 2,000 times 50 steps on SQLite and 400 times on PostgreSQL."""
    sync(session)
    examples = {"COREKIT_MACHINE_EXAMPLES": "2000,400"}
    session.run("pytest", "-rP", "plugins/payments/tests/machine", *session.posargs, env=examples)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    sync(session, "--group", "docs")
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-b", "html", "docs", "docs/_build/html")


@nox.session
@nox.parametrize("plugin", PLUGINS)
def alone(session: nox.Session, plugin: str) -> None:
    """Start each plugin with nothing installed but what it declares."""
    fresh = ["--reinstall-package=corekit", f"--reinstall-package=corekit-{plugin}"]
    session.install(*fresh, ".[web]", f"./plugins/{plugin}")
    session.run("python", ".ci/alone.py", plugin)


@nox.session
def build(session: nox.Session) -> None:
    """Build all wheels, install them into an empty environment, and serve from them."""
    wheels = Path(session.create_tmp()) / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    session.run("uv", "build", "--quiet", "--all-packages", "--out-dir", str(wheels), external=True)
    session.run("python", ".ci/wheels.py", str(wheels))
    found = [str(wheel) for wheel in wheels.glob("*.whl")]
    server = [f"{wheel}[server]" if Path(wheel).name.startswith("corekit-") else wheel for wheel in found]
    session.install(
        "--reinstall-package=corekit", *(f"--reinstall-package=corekit-{plugin}" for plugin in PLUGINS), *server
    )
    session.run("python", ".ci/served.py")


def sync(session: nox.Session, *options: str) -> None:
    """Install the workspace and its development dependencies into the session's own environment."""
    session.run_install(
        "uv",
        "sync",
        "--quiet",
        f"--python={python_of(session)}",
        *options,
        env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location},
        external=True,
    )


def python_of(session: nox.Session) -> str:
    """Return the interpreter of a session's environment."""
    folder = Path(session.virtualenv.location)
    return str(folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))


def sources() -> str:
    """Name the folders that hold the packages, for a tool that only reads them."""
    return ":".join(["src", *(f"plugins/{plugin}/src" for plugin in PLUGINS)])
