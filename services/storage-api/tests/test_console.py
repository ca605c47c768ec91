"""The console's static files."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from storage_api import console

PACKAGE = Path(__file__).parents[1]


@pytest.fixture
def folder():
    found = console.console_folder()
    if found is None:
        pytest.skip("clients/web/console is not there: the console is another package's")
    return found


async def test_the_page_is_served_with_headers_that_keep_it_to_itself(api, folder):
    answer = await api.http.get("/console", follow_redirects=True)
    assert answer.status_code == 200
    assert answer.url.path == "/console/"  # so that the page's own relative names lead to its files
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    for name in ("console.js", "console.css"):
        assert (await api.http.get(f"/console/{name}")).content == (folder / name).read_bytes()


@pytest.mark.parametrize(
    "path", ["/console/none.js", "/console/../../app.py", "/console/%2e%2e/app.py", "/console/%00"]
)
async def test_what_is_not_there_is_a_problem(api, folder, path):
    answer = await api.http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_console_is_only_read(api, folder):
    answer = await api.http.post("/console/console.js")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_an_installed_package_serves_what_it_carries(tmp_path, monkeypatch):
    (tmp_path / "index.html").write_text("packaged")
    monkeypatch.setattr(console, "_PACKAGED", tmp_path)
    assert console.console_folder() == tmp_path


def test_a_wheel_gets_the_files_and_a_source_tree_does_not(folder, monkeypatch):
    # hatchling is only in build environments: what its hooks inherit from is all that is missing here.
    plugin = ModuleType("hatchling.builders.hooks.plugin.interface")
    plugin.BuildHookInterface = type(
        "Interface",
        (),
        {"__class_getitem__": classmethod(lambda cls, _: cls), "root": str(PACKAGE), "target_name": "wheel"},
    )
    monkeypatch.setitem(sys.modules, plugin.__name__, plugin)
    spec = importlib.util.spec_from_file_location("hatch_build", PACKAGE / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for version, wanted in (("standard", {str(folder): "storage_api/console_files"}), ("editable", {})):
        data = {"force_include": {}}
        module.ConsoleHook().initialize(version, data)
        assert data["force_include"] == wanted
