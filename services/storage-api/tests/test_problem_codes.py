"""The list of codes holds every code that the service raises, with its status."""

import re
from pathlib import Path

import servicekit.body
import storage_api
from storage_api.problem_codes import PROBLEM_CODES

RAISED = re.compile(r'ProblemError\(\s*(\d{3}),\s*"(\w+)"')


def test_every_code_that_is_raised_is_listed_with_its_status():
    sources = [*Path(storage_api.__path__[0]).rglob("*.py"), Path(servicekit.body.__file__)]
    raised = {(code, int(status)) for path in sources for status, code in RAISED.findall(path.read_text())}
    listed = {(code, known.status) for code, known in PROBLEM_CODES.items()}
    assert len(raised) > 15
    assert raised <= listed
