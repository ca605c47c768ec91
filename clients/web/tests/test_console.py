import re
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "console"
PAGE = (FOLDER / "index.html").read_text()
SCRIPT = (FOLDER / "console.js").read_text()


def test_the_policy_lets_in_only_the_pages_own_files():
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', PAGE)
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not re.search(r"<script>|<style>|\sstyle=|\son[a-z]+=", PAGE)  # it would forbid them


def test_what_the_page_names_is_there_and_comes_from_nowhere_else():
    for name in re.findall(r'(?:src|href)="([^"]*)"', PAGE):
        assert name == "data:," or (FOLDER / name).is_file()
    for text in (PAGE, SCRIPT, (FOLDER / "console.css").read_text()):
        assert not re.search(r"https?://", text)


def test_the_script_finds_what_it_asks_the_page_for():
    for name in re.findall(r'at\("([a-z]+)"\)', SCRIPT):
        assert f'id="{name}"' in PAGE


def test_what_a_server_says_never_becomes_markup():
    for danger in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert danger not in SCRIPT
