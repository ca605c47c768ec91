"""Where the shared libraries lie that an installed PyAV wheel carries. Loads none of them, and never imports PyAV."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def libraries(name: str) -> list[Path]:
    """The files of the library of this name (`opus`, `avutil`), in their order; none where there is no such wheel.

    auditwheel (Linux) and delvewheel (Windows) put them into `av.libs` beside the package, delocate (macOS)
    into `av/.dylibs`, all with a hash or a version in the name.
    """
    try:
        spec = importlib.util.find_spec("av")
    except ValueError:  # somebody put a module without a spec into sys.modules
        return []
    if spec is None:
        return []
    copies: set[Path] = set()
    for package in map(Path, spec.submodule_search_locations or ()):
        for folder in (package.parent / "av.libs", package / ".dylibs"):
            for pattern in (f"lib{name}[-.]*", f"{name}-*.dll"):
                copies.update(folder.glob(pattern))
    return sorted(copies)
