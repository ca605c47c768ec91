"""What docs/limits.md is compared with: the constants of modules that are called as limits are.

Owns which names those are, and how a value stands on the page. The page has one part for each service.
"""

import ast
import re
from pathlib import Path
from types import ModuleType
from typing import Final

STORAGE_API: Final = "\n# The limits of storage-api\n"
"""Parts the page."""
_UNITS: Final = {"": 1, "s": 1, "h": 3_600, "KiB": 1024, "MiB": 1024 * 1024, "days": 86_400}
_NAME: Final = re.compile(r"(^|_)(LIMIT|MOST|LEAST|S|MS|BYTES|SAMPLES|CHUNKS|KEPT)$|^_?MAX_|^MOST_")


def limits_of(module: ModuleType) -> set[str]:
    """The numbers in it that are called as limits are."""
    found: set[str] = set()
    for node in ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = {target.id for target in targets if isinstance(target, ast.Name) and _NAME.search(target.id)}
        found |= {name for name in names if isinstance(getattr(module, name), int | float)}
    return found


def in_units_of_the_page(name: str, value: float) -> float:
    """Times in seconds, samples being at 48 kHz; everything else as it is."""
    return value / (1_000 if name.endswith("_MS") else 48_000 if name.endswith("_SAMPLES") else 1)


def on_page(text: str) -> float:
    """`64 KiB` as a number."""
    number, _, unit = text.strip().partition(" ")
    return float(number) * _UNITS[unit]
