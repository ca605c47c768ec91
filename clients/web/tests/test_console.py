import base64
import hashlib
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parent.parent / "console" / "index.html").read_text()


@pytest.mark.parametrize("tag", ["style", "script"])
def test_the_policy_allows_exactly_what_is_in_the_page(tag):
    (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", PAGE, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    assert f"{tag}-src 'sha256-{digest}'" in PAGE


def test_nothing_comes_from_elsewhere():
    assert "default-src 'none'" in PAGE
    assert not re.search(r"(?:src|href|url)\s*[=(]\s*[\"']?(?:https?:)?//", PAGE)


def test_what_a_server_says_never_becomes_markup():
    assert "innerHTML" not in PAGE
    assert "insertAdjacentHTML" not in PAGE
    assert "document.write" not in PAGE
