"""The OpenAPI document and its page: what they say is what is served, and they need nothing from elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
import yaml
from openapi_spec_validator import validate
from server_support import DATA, running

from symbl_async.server.parameters import TABLE
from symbl_async.server.reference import render
from symbl_async.server.routes.documents import read_document

DOCUMENT: dict[str, Any] = json.loads(read_document())
METHODS = ("get", "head", "post", "put", "patch", "delete")


def operations(document: dict[str, Any] = DOCUMENT) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and content of each operation."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield method, path, item[method]


def resolved(value: dict[str, Any]) -> dict[str, Any]:
    """What a reference stands for."""
    if "$ref" not in value:
        return value
    found: Any = DOCUMENT
    for name in value["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return dict(found)


def test_document_is_valid() -> None:
    """By the rules of OpenAPI 3.1."""
    validate(DOCUMENT)


async def test_every_route_is_an_operation_and_the_other_way_round() -> None:
    """Path, method and name; ids in paths have the names of the contract."""
    async with running(metrics_token="x") as api:
        app = api.server._app
        assert app is not None
        served = set()
        for route in app.router.routes():
            assert route.resource is not None
            path = re.sub(r"\{[^}]*\}", lambda match: _camel(match[0]), route.resource.canonical)
            name = f"{route.name}_head" if route.method == "HEAD" else route.name
            served.add((route.method.lower(), path, name))
    assert served == {(method, path, item["operationId"]) for method, path, item in operations()}


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


@pytest.mark.parametrize("name", ["openapi.yaml", "conversation.openapi.yaml"])
def test_document_holds_every_operation_of_the_contract(name: str) -> None:
    """Under the same id, with every parameter, and one of the statuses of success."""
    contract = yaml.safe_load((DATA / name).read_text())
    own = {(method, path): item for method, path, item in operations()}
    for method, path, item in operations(contract):
        found = own[method, path]
        assert found["operationId"] == item["operationId"]
        successes = {code for code in found["responses"] if code.startswith("2")}
        assert len(successes) == 1
        assert successes <= set(item["responses"])
        wanted = {_parameter(contract, given)["name"] for given in item.get("parameters", ())} - {"Content-Length"}
        assert wanted <= {resolved(given)["name"] for given in found.get("parameters", ())}


def _parameter(document: dict[str, Any], given: dict[str, Any]) -> Any:
    found: Any = document if "$ref" in given else given
    for part in given.get("$ref", "").removeprefix("#/").split("/") if "$ref" in given else ():
        found = found[part]
    return found


def test_document_holds_every_parameter_of_the_table() -> None:
    """In the query of uploads and in the bodies of the others."""
    for kind in ("audio", "video"):
        item = DOCUMENT["paths"][f"/v1/process/{kind}"]["post"]
        assert {row.name for row in TABLE} | {"Idempotency-Key"} == {
            resolved(given)["name"] for given in item["parameters"]
        }
    schemas = DOCUMENT["components"]["schemas"]
    for name, rows in (
        ("CommonOptions", {row.name for row in TABLE if not row.speech} | {"customEntities"}),
        ("SpeechOptions", {row.name for row in TABLE if row.speech} | {"timezoneOffset"}),
    ):
        assert set(schemas[name]["properties"]) == rows


def test_every_operation_says_what_may_go_wrong() -> None:
    """A token is asked for where 401 is listed, a body is read where 413 is, and no status is left open."""
    for _, path, item in operations():
        codes = set(item["responses"])
        assert "default" not in codes
        assert {"421", "500", "503"} <= codes
        if path != "/oauth2/token:generate":
            assert (item.get("security", True) != []) == ("401" in codes), path
        assert ("requestBody" in item) == ("413" in codes), path
        assert ("{" in path or path == "/metrics") == ("404" in codes), path


async def test_document_and_page_need_no_token_and_load_nothing() -> None:
    """And say so to browsers, which may keep them for a while."""
    async with running() as api:
        async with api.session.get(f"{api.server.url}/openapi.json") as response:
            assert response.status == 200
            assert response.content_type == "application/json"
            assert response.headers["Cache-Control"] == "public, max-age=300"
            assert await response.json() == DOCUMENT
        async with api.session.get(f"{api.server.url}/docs") as response:
            assert response.status == 200
            assert response.headers["Content-Type"] == "text/html; charset=utf-8"
            assert response.headers["Cache-Control"] == "public, max-age=300"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            policy = response.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; style-src 'sha256-")
            assert "unsafe" not in policy
            assert await response.text() == render(DOCUMENT)


class Page(HTMLParser):
    """Collects the ids and links of a page, and sees that its tags are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.tags: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        values = dict(attrs)
        assert not {"src", "style", "onclick"} & set(values)
        self.tags.add(tag)
        if values.get("id"):
            self.ids.append(str(values["id"]))
        if values.get("href"):
            self.links.add(str(values["href"]))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """See that it is the last one."""
        assert self.open.pop() == tag


def test_page_is_whole() -> None:
    """Every operation and shape is in it, every link leads somewhere in it, and it has no script, image or form."""
    page = Page()
    page.feed(render(DOCUMENT))
    assert page.open == []
    assert not {"script", "img", "link", "iframe", "form", "object", "base"} & page.tags
    assert len(page.ids) == len(set(page.ids))
    assert {item["operationId"] for _, _, item in operations()} < set(page.ids)
    assert {f"shape-{name}" for name in DOCUMENT["components"]["schemas"]} < set(page.ids)
    assert page.links - {f"#{name}" for name in page.ids} == {"openapi.json"}


def test_page_shows_text_as_text() -> None:
    """Nothing in the document is taken for HTML."""
    document = json.loads(json.dumps(DOCUMENT))
    document["info"]["title"] = "<script>alert(1)</script>"
    document["paths"]["/docs"]["get"]["summary"] = "`<b>`"
    text = render(document)
    assert "<script>" not in text
    assert "<code>&lt;b&gt;</code>" in text
