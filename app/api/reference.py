"""Pure: the OpenAPI document as a page for people, without any script."""

from collections.abc import Iterator
from html import escape
from typing import Any, Final

Schema = dict[str, Any]

_STYLE: Final = """
:root { color-scheme: light dark; --line: light-dark(#ddd, #444); --quiet: light-dark(#5a5a5a, #a8a8a8); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto 6rem; padding: 0 1rem; }
code, pre, h3, td:first-child, nav b { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .9em; }
pre { border: 1px solid var(--line); border-radius: .4rem; padding: .75rem 1rem;
  white-space: pre-wrap; overflow-wrap: anywhere; }
h2 { margin: 3rem 0 1rem; } h3 { margin: 2.5rem 0 .25rem; font-size: 1rem; overflow-wrap: anywhere; }
h3 b, nav b { display: inline-block; min-width: 4.8rem; }
b.get { color: light-dark(#0a5cad, #7db8f5); } b.post { color: light-dark(#1b6e2c, #7fd08f); }
b.delete { color: light-dark(#a8201a, #f28b82); }
p { margin: .25rem 0 .75rem; }
nav ul { list-style: none; padding: 0; } nav li { padding: .1rem 0 .1rem 5rem; overflow-wrap: anywhere; }
nav b { margin-left: -5rem; width: 4.8rem; }
nav span, .quiet { color: var(--quiet); }
table { border-collapse: collapse; width: 100%; table-layout: fixed; margin: .5rem 0; }
caption { text-align: left; font-weight: 600; padding: .5rem 0 .25rem; }
td { vertical-align: top; padding: .3rem .75rem .3rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
td:first-child { width: 22%; } td:nth-child(2) { width: 26%; }
@media (max-width: 40rem) { td { display: block; border: 0; padding: 0; width: auto !important; }
  tr { display: block; border-top: 1px solid var(--line); padding: .4rem 0; } }
"""
_EXAMPLE: Final = r"""curl SERVER/v1/email-accounts/connect \
  -H "x-api-key: KEY" -H "Content-Type: application/json" \
  -d '[{"smtpEmailAddress": "sales@example.com", "smtpPassword": "…",
        "emailServiceProvider": "gmail"}]'
curl "SERVER/v1/email-accounts/connect/status/REQUEST_ID?wait=30" \
  -H "x-api-key: KEY"
"""


def render_reference(document: Schema, server: str) -> str:
    """Return the page. `server`: the base address that the examples show."""
    info = document["info"]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width, initial-scale=1'>",
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style>",
        f"<h1>{escape(info['title'])} API <span class=quiet>{escape(info['version'])}</span></h1>",
        f"<p>{escape(info['summary'])} For programs: <a href=/openapi.json>openapi.json</a>.</p>",
        "<p>Send your API key as <code>x-api-key: KEY</code> or <code>Authorization: Bearer KEY</code>.</p>",
        f"<pre>{escape(_EXAMPLE.replace('SERVER', server))}</pre>",
        "<nav><h2>Calls</h2><ul>",
    ]
    calls = [(method, path, one) for path, found in document["paths"].items() for method, one in found.items()]
    parts += [_entry_of_contents(*call) for call in calls]
    parts.append("</ul></nav>")
    for method, path, operation in calls:
        parts.append(f"<h3 id={_anchor(method, path)}><b class={method}>{method.upper()}</b> {escape(path)}</h3>")
        parts += _describe(operation)
    parts += ["<h2>Problems</h2>", *_list_problems(document), "<h2>Shapes</h2>"]
    for name, shape in document["components"]["schemas"].items():
        parts.append(f"<h3 id=shape-{name}>{name}</h3>")
        parts += _describe_shape(shape)
    return "\n".join(parts)


def _entry_of_contents(method: str, path: str, operation: Schema) -> str:
    link = f"<a href=#{_anchor(method, path)}>{escape(path)}</a>"
    return f"<li><b class={method}>{method.upper()}</b> {link} <span>{escape(operation['summary'])}</span>"


def _describe(operation: Schema) -> Iterator[str]:
    about = escape(operation.get("description", "Needs no key.")).replace("`", "")
    yield f"<p>{escape(operation['summary'])}. <span class=quiet>{about}</span></p>"
    lines = [
        (escape(one["name"]), f"{one['in']}: {_name(one['schema'])}", escape(one.get("description", "")))
        for one in operation.get("parameters", ())
    ]
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        lines.append(("body", escape(kind), _tell(body["schema"])))
    for status, answer in operation["responses"].items():
        for kind, body in answer.get("content", {"": {"schema": {}}}).items():
            if kind != "application/problem+json":
                about = "" if status == "200" else escape(answer["description"])
                lines.append((status, escape(kind), " ".join(filter(None, (about, _tell(body["schema"]))))))
    yield _table(lines)
    refused = [status for status, answer in operation["responses"].items() if _is_problem(answer)]
    yield f"<p class=quiet>Problems: {', '.join(refused)}.</p>"


def _describe_shape(shape: Schema) -> Iterator[str]:
    if shape.get("description"):
        yield f"<p>{escape(shape['description'])}</p>"
    if "enum" in shape:
        yield f"<p>{', '.join(f'<code>{escape(word)}</code>' for word in shape['enum'])}</p>"
    properties = shape.get("properties", {})
    if properties:
        yield _table(
            [(escape(name), _name(one), escape(one.get("description", ""))) for name, one in properties.items()]
        )


def _list_problems(document: Schema) -> Iterator[str]:
    yield f"<p>Every refusal is a {_link('Problem')} (RFC 9457), as application/problem+json.</p>"
    found: dict[str, str] = {}
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if _is_problem(answer):
                    found.setdefault(status, answer["description"])
    yield _table([(status, "", escape(found[status])) for status in sorted(found)])


def _is_problem(answer: Schema) -> bool:
    return "application/problem+json" in answer.get("content", {})


def _table(lines: list[tuple[str, str, str]]) -> str:
    cells = "".join(f"<tr><td>{name}<td class=quiet>{kind}<td>{about}" for name, kind, about in lines)
    return f"<table>{cells}</table>" if cells else ""


def _tell(schema: Schema) -> str:
    """Return what a body is; its own words where it has some."""
    return escape(schema["description"]) if "description" in schema else _name(schema) if schema else ""


def _name(schema: Schema) -> str:
    """Return what a value is, in a word or two, as HTML."""
    if "$ref" in schema:
        return _link(str(schema["$ref"]).rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(_name(one) for one in schema["anyOf"])
    if "allOf" in schema:
        return " and ".join(_name(one) for one in schema["allOf"])
    kinds = schema.get("type", "anything")
    if "enum" in schema:
        return " | ".join(escape("null" if word is None else str(word)) for word in schema["enum"])
    if kinds == "array":
        return f"list of {_name(schema['items'])}"
    if kinds == "object" and schema.get("properties"):
        return "{ " + ", ".join(f"{name}: {_name(one)}" for name, one in schema["properties"].items()) + " }"
    return escape(" or ".join(kinds) if isinstance(kinds, list) else str(kinds))


def _link(name: str) -> str:
    return f"<a href=#shape-{name}>{name}</a>"


def _anchor(method: str, path: str) -> str:
    """Return an id that needs no quotes."""
    return f"{method}{''.join(letter if letter.isalnum() else '-' for letter in path)}"
