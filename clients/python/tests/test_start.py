"""How much is imported before the command says anything."""

import subprocess
import sys

SLOW = ("av", "httpx", "jwt", "numpy", "websockets", "redis", "cryptography")


def test_what_is_slow_to_import_waits_until_it_is_used():
    code = f"import sys, tapedeck.__main__; print(*(one for one in {SLOW} if one in sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert found.stdout.strip() == ""


def test_the_names_of_the_package_are_there():
    code = "import tapedeck; [getattr(tapedeck, name) for name in tapedeck.__all__]; print(hasattr(tapedeck, 'no'))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert found.stdout.strip() == "False"
