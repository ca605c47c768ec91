"""docs/interleavings.md names tests that exist, and at least one for each story."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "interleavings.md").read_text()
FOLDERS = {
    "audiobus": ROOT / "libs/audiobus/tests",
    "pusher": ROOT / "services/pusher/tests",
    "listen": ROOT / "services/listen/tests",
    "storage-api": ROOT / "services/storage-api/tests",
}


def rows(text: str) -> dict[int, str]:
    """The rows of its table, by the number of their story."""
    return {int(number): row for number, row in re.findall(r"^\| (\d+) \| (.*) \|$", text, re.MULTILINE)}


def test_each_story_is_played_by_tests_that_exist():
    told, _, named_tests = PAGE.partition("## Where they are played")
    stories, played = rows(told), rows(named_tests)
    assert list(stories) == list(played) == list(range(1, 23))
    for number, text in played.items():
        folder, named = None, 0
        for word, file, test in re.findall(
            r"\b(audiobus|pusher|listen|storage-api) (?=`)|`([\w/]+\.py)::(\w+)`", text
        ):
            if word:
                folder = FOLDERS[word]
                continue
            assert folder is not None, number
            assert f"def {test}(" in (folder / file).read_text(), (number, file, test)
            named += 1
        assert named, number
