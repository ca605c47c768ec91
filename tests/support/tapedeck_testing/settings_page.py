"""docs/settings.md, made from the services' own settings: `python tests/support/tapedeck_testing/settings_page.py`."""

from pathlib import Path

from listen.settings import ListenSettings
from pusher.settings import PusherSettings
from servicekit.settings import markdown
from storage_api.settings import StorageSettings

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"
INTRODUCTION = """\
# Settings

Each service reads its settings from the environment once, before it connects to anything, and reports all mistakes together.
`python -m listen --help` prints the same tables. `tapedeck up` passes its own environment on to the services, the keys only to those that seal or open.

This page is generated: `.venv/bin/python tests/support/tapedeck_testing/settings_page.py`.
"""


def settings_page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for name, struct in (
        ("listen", ListenSettings),
        ("pusher", PusherSettings),
        ("storage-api", StorageSettings),
    ):
        parts.append(f"\n## {name}\n\n{markdown(struct)}")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(settings_page(), encoding="utf-8")
