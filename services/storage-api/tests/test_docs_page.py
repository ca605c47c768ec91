"""`/docs`: shown without any asset from elsewhere."""

import re
from urllib.parse import urljoin

import pytest

from storage_api.docs_page import ASSETS


@pytest.fixture
async def page(api):
    answer = await api.http.get("/docs")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    return answer


def test_the_page_names_no_other_host(page):
    assert "//" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy


async def test_every_asset_that_it_names_answers(api, page):
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {"openapi.json", "docs/start.js", *(f"docs/{name}" for name in ASSETS)} == set(named)
    for name in named:
        answer = await api.http.get(urljoin("/docs", name))
        assert answer.status_code == 200
        assert answer.content
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_its_script_and_styles_fetch_nothing_from_elsewhere(api):
    start = (await api.http.get("/docs/start.js")).text
    assert "//" not in start
    assert "validatorUrl: null" in start
    styles = (await api.http.get("/docs/swagger-ui.css")).text
    assert not re.search(r"@import|url\((?!['\"]?data:)", styles)


@pytest.mark.parametrize("name", ["index.html", "swagger-ui.js", "..%2f__init__.py", "%2e%2e", "x"])
async def test_other_files_are_not_there(api, name):
    answer = await api.http.get(f"/docs/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
