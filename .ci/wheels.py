"""Looks into built wheels: licence, type marker, metadata, entry point: `python .ci/wheels.py FOLDER`."""

import sys
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

REQUIRED = ("Summary", "License-Expression", "License-File", "Requires-Python", "Description-Content-Type")


def faults(wheel: Path) -> list[str]:
    """Tell what a wheel lacks."""
    with ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        fields = Parser().parsestr(archive.read(metadata).decode())
    package = wheel.name.partition("-")[0]
    wanted = ["/py.typed", "/licenses/LICENSE", "/entry_points.txt"]
    found = [f"no {field}" for field in REQUIRED if not fields[field]]
    found += [f"no {ending}" for ending in wanted if not any(name.endswith(ending) for name in names)]
    found += [f"holds {name}" for name in names if not name.startswith((f"{package}/", f"{package}-"))]
    return [f"{wheel.name}: {fault}" for fault in found]


wheels = sorted(Path(sys.argv[1]).glob("*.whl"))
problems = [fault for wheel in wheels for fault in faults(wheel)]
if problems or not wheels:
    raise SystemExit("\n".join(problems) or "no wheels")
print(f"{len(wheels)} wheels are complete")
