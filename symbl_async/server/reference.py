"""The OpenAPI document as a page: one HTML file without scripts, and without anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

_METHODS = ("get", "head", "post", "put", "patch", "delete")
_CODE = re.compile(r"`([^`]+)`")
# In the order in which they are told, with what stands in front of their value.
_LIMITS = {
    "format": "",
    "pattern": "like ",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minimum": "from ",
    "maximum": "to ",
    "minItems": "at least {}",
    "default": "else ",
}

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --mark: #2563eb; }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; display: grid; grid-template-columns: 19rem minmax(0, 1fr); }
nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1rem; border-right: 1px solid var(--line);
  font-size: .85rem; }
nav ul { list-style: none; margin: 0 0 1rem; padding: 0; }
nav li { margin: .15rem 0; }
main { padding: 1rem 2rem 4rem; max-width: 70rem; }
a { color: var(--mark); text-decoration: none; }
a:hover { text-decoration: underline; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
code { overflow-wrap: anywhere; }
pre { background: var(--soft); padding: .75rem; border-radius: 6px; overflow-x: auto; }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); }
article { margin: 2rem 0; padding-top: .5rem; border-top: 1px solid var(--line); }
h3 { margin: .5rem 0; font-size: 1.1rem; }
h4 { margin: 1rem 0 .25rem; font-size: .95rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
td, th { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
td:first-child { width: 17rem; overflow-wrap: anywhere; }
td:nth-child(2) { width: 20rem; overflow-wrap: anywhere; }
.method { display: inline-block; min-width: 3.6rem; font-weight: 700; font-size: .8rem; }
.note { opacity: .75; font-size: .9rem; }
td ul { margin: 0; padding-left: 1.1rem; }
@media (max-width: 60rem) { body { display: block; } nav { position: static; height: auto; border: 0; }
  nav ul, nav br { display: none; } nav a { display: inline-block; margin-right: 1rem; }
  main { padding: 0 1rem 3rem; } td:first-child, td:nth-child(2) { width: auto; } }
@media print { nav { display: none; } body { display: block; } }
"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Value of ``Content-Security-Policy`` for the page: its own style sheet, and nothing else."""


def render(document: Mapping[str, Any]) -> str:
    """The page for *document*."""
    return _Page(document).render()


class _Page:
    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def render(self) -> str:
        info = self._document["info"]
        title = escape(info["title"])
        operations = self._by_tag()
        parts = [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title><style>{_STYLE}</style></head><body>",
            self._menu(operations),
            f"<main><h1>{title}</h1><p>{_text(info['summary'])}</p>{_paragraphs(info['description'])}",
            '<p>The same for programs: <a href="openapi.json">openapi.json</a>.</p>',
            self._security(),
        ]
        for tag in self._document["tags"]:
            parts.append(f'<section><h2 id="tag-{_slug(tag["name"])}">{escape(tag["name"])}</h2>')
            parts.append(_paragraphs(tag["description"]))
            parts += [self._operation(*found) for found in operations[tag["name"]]]
            parts.append("</section>")
        parts += [self._problems(), self._schemas(), "</main></body></html>"]
        return "\n".join(parts) + "\n"

    def _by_tag(self) -> dict[str, list[tuple[str, str, Mapping[str, Any]]]]:
        found: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {tag["name"]: [] for tag in self._document["tags"]}
        for path, item in self._document["paths"].items():
            for method in _METHODS:
                if method in item:
                    found[item[method]["tags"][0]].append((method, path, item[method]))
        return found

    def _menu(self, operations: Mapping[str, Sequence[tuple[str, str, Mapping[str, Any]]]]) -> str:
        parts = ["<nav>"]
        for tag, found in operations.items():
            parts.append(f'<a href="#tag-{_slug(tag)}"><strong>{escape(tag)}</strong></a><ul>')
            parts += [
                f'<li><a href="#{item["operationId"]}">{escape(item["summary"])}</a></li>' for _, _, item in found
            ]
            parts.append("</ul>")
        parts.append(
            '<a href="#refusals"><strong>Refusals</strong></a><br><a href="#shapes"><strong>Shapes</strong></a>'
        )
        return "".join([*parts, "</nav>"])

    def _security(self) -> str:
        schemes = self._document["components"]["securitySchemes"]
        rows = [(f"<code>{escape(name)}</code>", _text(scheme["description"])) for name, scheme in schemes.items()]
        return f"<h2>Who may ask</h2>{_table(rows)}"

    def _operation(self, method: str, path: str, item: Mapping[str, Any]) -> str:
        old = " (deprecated)" if item.get("deprecated") else ""
        parts = [
            f'<article id="{item["operationId"]}"><h3>{_text(item["summary"])}{old}</h3>',
            f'<p><span class="method">{method.upper()}</span> <code>{escape(path)}</code></p>',
            _paragraphs(item.get("description", "")),
        ]
        security = item.get("security", self._document["security"])
        if not security:
            parts.append('<p class="note">Needs no token.</p>')
        elif security != self._document["security"]:
            names = ", ".join(f"<code>{escape(name)}</code>" for choice in security for name in choice)
            parts.append(f'<p class="note">Needs {names}.</p>')
        parts += [self._parameters(item.get("parameters", ())), self._body(item.get("requestBody"))]
        parts += [self._responses(item["responses"]), "</article>"]
        return "\n".join(part for part in parts if part)

    def _parameters(self, parameters: Iterable[Mapping[str, Any]]) -> str:
        rows = []
        for given in parameters:
            item = self._resolve(given)
            schema = item["schema"] if "schema" in item else item["content"]["application/json"]["schema"]
            where = item["in"] if item["in"] != "path" else "path, always"
            rows.append(
                (f"<code>{escape(item['name'])}</code> ({where})", self._kind(schema), _text(item["description"]))
            )
        return f"<h4>Parameters</h4>{_table(rows)}" if rows else ""

    def _body(self, given: Mapping[str, Any] | None) -> str:
        if given is None:
            return ""
        body = self._resolve(given)
        types = ", ".join(f"<code>{escape(name)}</code>" for name in body["content"])
        media = next(iter(body["content"].values()))
        example = f"<pre>{escape(json.dumps(media['example'], indent=2))}</pre>" if "example" in media else ""
        text = _paragraphs(body.get("description", ""))
        return f"<h4>Body</h4><p>{self._kind(media['schema'])} as {types}</p>{text}{example}"

    def _responses(self, responses: Mapping[str, Mapping[str, Any]]) -> str:
        good = [(code, self._resolve(given)) for code, given in responses.items() if code.startswith("2")]
        rows = []
        for code, answer in good:
            content = answer.get("content", {})
            kinds = ", ".join(
                f"{self._kind(media['schema'])} as <code>{name}</code>" for name, media in content.items()
            )
            rows.append((f"<code>{code}</code>", kinds or "no body", _text(answer["description"])))
        refusals = ", ".join(f'<a href="#{code}">{code}</a>' for code in responses if not code.startswith("2"))
        return f'<h4>Answers</h4>{_table(rows)}<p class="note">Refusals: {refusals}</p>'

    def _problems(self) -> str:
        named: dict[str, str] = {}
        for item in self._document["paths"].values():
            for operation in item.values():
                for code, given in operation["responses"].items():
                    if "$ref" in given and not code.startswith("2"):
                        named[code] = self._resolve(given)["description"]
        rows = [(f'<code id="{code}">{code}</code>', _text(text)) for code, text in sorted(named.items())]
        return f'<section><h2 id="refusals">Refusals</h2>{_table(rows)}</section>'

    def _schemas(self) -> str:
        parts = ['<section><h2 id="shapes">Shapes</h2>']
        for name, schema in self._document["components"]["schemas"].items():
            parts.append(f'<article id="shape-{name}"><h3>{name}</h3>{_paragraphs(schema.get("description", ""))}')
            parts.append(self._members(schema) if "properties" in schema else f"<p>{self._kind(schema)}</p>")
            parts.append("</article>")
        return "".join([*parts, "</section>"])

    def _members(self, schema: Mapping[str, Any]) -> str:
        rows = []
        for name, member in schema["properties"].items():
            always = ", always" if name in schema.get("required", ()) else ""
            old = ", deprecated" if member.get("deprecated") else ""
            rows.append(
                (f"<code>{escape(name)}</code>{always}{old}", self._kind(member), _text(member.get("description", "")))
            )
        return _table(rows)

    def _kind(self, schema: Mapping[str, Any]) -> str:
        """What a value may be, in a line or as a list of members."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return f'<a href="#shape-{name}">{name}</a>'
        for key, word in (("anyOf", " or "), ("oneOf", " or "), ("allOf", " with ")):
            if key in schema:
                return word.join(self._kind(part) for part in schema[key])
        if "const" in schema:
            return f"<code>{escape(json.dumps(schema['const']))}</code>"
        if "enum" in schema:
            return ", ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"] if value != "")
        types = schema.get("type", "anything")
        kind = " or ".join([types] if isinstance(types, str) else types)
        if "items" in schema:
            kind = f"list of {self._kind(schema['items'])}"
        elif "properties" in schema:
            needed = schema.get("required", ())
            kind = "object: " + "".join(
                f"<br><code>{escape(name)}</code>{', always' if name in needed else ''}: {self._kind(member)}"
                for name, member in schema["properties"].items()
            )
        elif isinstance(schema.get("additionalProperties"), Mapping):
            kind = f"object of {self._kind(schema['additionalProperties'])}"
        return kind + _limits(schema)

    def _resolve(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" not in given:
            return given
        found: Any = self._document
        for name in given["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        return dict(found)


def _limits(schema: Mapping[str, Any]) -> str:
    told = []
    for name, words in _LIMITS.items():
        if name not in schema:
            continue
        value = schema[name] if isinstance(schema[name], str) else json.dumps(schema[name])
        shown = f"<code>{escape(value)}</code>" if name in ("pattern", "default") else escape(value)
        told.append(words.format(shown) if "{}" in words else words + shown)
    return f" ({', '.join(told)})" if told else ""


def _table(rows: Iterable[Sequence[str]]) -> str:
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{body}</table>" if body else "<p>Nothing.</p>"


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_text(part)}</p>" for part in text.split("\n\n") if part)


def _text(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _slug(text: str) -> str:
    return text.lower().replace(" ", "-")
