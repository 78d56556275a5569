"""The page `/docs`: the API's description as plain HTML, without scripts and from nowhere else."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code { font-family: ui-monospace, monospace; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; border-bottom: 1px solid #8886; padding: .3rem .6rem 0 0; }
:root { color-scheme: light dark; }
"""


def page(description: Mapping[str, Any]) -> str:
    """The page for an OpenAPI description."""
    return "\n".join(_lines(description))


def _lines(description: Mapping[str, Any]) -> Iterator[str]:
    info = description["info"]
    yield "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
    yield "<meta name='viewport' content='width=device-width, initial-scale=1'>"
    yield f"<title>{escape(info['title'])}: the API</title>"
    yield "<link rel='stylesheet' href='/docs/style.css'></head><body><main>"
    yield f"<h1>{escape(info['title'])} {escape(info['version'])}: the API</h1>"
    yield f"<p>{escape(info['description'])} <a href='/'>To the page.</a> "
    yield "For programs: <a href='/openapi.json'>openapi.json</a>.</p>"
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
            yield f"<p>{escape(operation.get('summary', ''))}</p>"
            yield from _inputs(operation, description)
            yield from _table("Replies", ("status", "what"), _replies(operation))
    for name, schema in description["components"]["schemas"].items():
        rows = [_field(field, facts) for field, facts in schema.get("properties", {}).items()]
        if rows:
            yield f"<h2 id='{escape(name)}'>{escape(name)}</h2>"
            yield f"<p>{escape(schema.get('description', ''))}</p>"
            yield from _table("Fields", ("field", "type", "what"), rows)
    yield "</main></body></html>"


def _inputs(operation: Mapping[str, Any], description: Mapping[str, Any]) -> Iterator[str]:
    parameters = [
        (f"<code>{escape(p['name'])}</code>", _type(p["schema"]), escape(p.get("description", "")))
        for p in operation.get("parameters", ())
    ]
    yield from _table("Parameters", ("name", "type", "what"), parameters)
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        schema = body["schema"]
        if "$ref" in schema:
            yield f"<p>Body: <code>{escape(kind)}</code>, {_type(schema)}</p>"
        else:
            rows = [_field(name, facts) for name, facts in schema["properties"].items()]
            yield from _table(f"Body: {kind}", ("field", "type", "what"), rows)


def _replies(operation: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (f"<code>{status}</code>", escape(reply["description"]))
        for status, reply in operation["responses"].items()
    ]


def _field(name: str, facts: Mapping[str, Any]) -> tuple[str, ...]:
    return f"<code>{escape(name)}</code>", _type(facts), escape(facts.get("description", ""))


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f"<a href='#{name}'>{name}</a>"
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape(str(schema.get("const", schema.get("type", "anything"))))


def _table(caption: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    if rows:
        yield f"<table><caption>{escape(caption)}</caption><tr>"
        yield "".join(f"<th scope='col'>{head}</th>" for head in heads) + "</tr>"
        for row in rows:
            yield "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
        yield "</table>"
