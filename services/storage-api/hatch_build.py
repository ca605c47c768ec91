# ruff: noqa: INP001 - hatchling loads it by its path; it is no module of the package
"""Puts the web console's files into the wheel, so that an installed storage-api serves them too.

They are written in clients/web/console. A source tree (an editable install) serves them from there.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ConsoleHook(BuildHookInterface[Any]):
    """Adds clients/web/console as storage_api/console_files."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before each build; `version` is `editable` or `standard`."""
        console = Path(self.root).parents[1] / "clients" / "web" / "console"
        if version == "standard" and console.is_dir():
            within = (
                "src/storage_api/console_files"
                if self.target_name == "sdist"
                else "storage_api/console_files"
            )
            build_data["force_include"][str(console)] = within
