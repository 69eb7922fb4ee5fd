"""The OpenAPI document as one HTML page that needs nothing else: no script, no asset from elsewhere."""

from collections.abc import Iterable
from html import escape
from importlib.resources import files

from chaser.api.openapi import Json, phrase


def page(document: Json) -> str:
    style = files("chaser.api").joinpath("reference.css").read_text(encoding="utf-8")
    info = document["info"]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])} API</title><style>{style}</style></head><body><div class=page>"
        f"<nav>{_contents(document)}</nav><main>"
        f"<h1>{escape(info['title'])} API <small>{escape(info['version'])}</small></h1>"
        f"<p>{_prose(info['description'])}</p>"
        "<p>Send <code>Authorization: Bearer sk_…</code> with every call under <code>/v1</code>. "
        "Every answer carries an <code>X-Request-Id</code>. The same description for programs: "
        '<a href="/openapi.json">/openapi.json</a>.</p>'
        f"{''.join(_section(document, *entry) for entry in _operations(document))}"
        f"{''.join(_schema(name, schema) for name, schema in sorted(_schemas(document).items()))}"
        "</main></div></body></html>"
    )


def _operations(document: Json) -> Iterable[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def _schemas(document: Json) -> Json:
    schemas: Json = document["components"]["schemas"]
    return schemas


def _contents(document: Json) -> str:
    lines: list[str] = []
    tag = ""
    for method, path, operation in _operations(document):
        if operation["tags"][0] != tag:
            tag = operation["tags"][0]
            lines.append(f"<h2>{escape(tag)}</h2>")
        lines.append(f'<a href="#{escape(operation["operationId"])}">{_verb(method)}{escape(path)}</a>')
    lines.append("<h2>Types</h2>")
    lines.extend(f'<a href="#type-{escape(name)}">{escape(name)}</a>' for name in sorted(_schemas(document)))
    return "".join(lines)


def _section(document: Json, method: str, path: str, operation: Json) -> str:
    scope = operation.get("x-scope")
    needs = f"<p class=soft>Needs the scope <code>{escape(scope)}</code>.</p>" if scope else ""
    return (
        f'<section id="{escape(operation["operationId"])}"><h2>{_verb(method)}<code>{escape(path)}</code></h2>'
        f"<p>{_prose(operation['summary'])}</p><p>{_prose(operation.get('description', ''))}</p>{needs}"
        f"{_parameters(operation['parameters'])}{_body(operation)}{_answers(operation['responses'])}</section>"
    )


def _parameters(parameters: list[Json]) -> str:
    rows = [
        (
            f"<code>{escape(parameter['name'])}</code>",
            f"{escape(parameter['in'])}{', required' if parameter['required'] else ''}",
            _type(parameter["schema"]),
            _prose(parameter.get("description", "")),
        )
        for parameter in parameters
    ]
    return _table("Parameters", ("name", "in", "type", ""), rows)


def _body(operation: Json) -> str:
    if "requestBody" not in operation:
        return ""
    contents = operation["requestBody"]["content"]
    # a body of bytes, taken as they are, has no schema
    rows = [
        (f"<code>{escape(name)}</code>", _type(content["schema"]) if content else "bytes")
        for name, content in contents.items()
    ]
    return _table("Body", ("media type", "type"), rows)


def _answers(responses: Json) -> str:
    rows = [
        (
            f"<code>{escape(status)}</code> {escape(phrase(status))}",
            "<br>".join(
                f"{_type(content['schema'])} <span class=soft>{escape(name)}</span>"
                for name, content in response["content"].items()
            ),
            _prose(response["description"]),
        )
        for status, response in sorted(responses.items())
    ]
    return _table("Answers", ("status", "type", ""), rows)


def _schema(name: str, schema: Json) -> str:
    about = f"<p>{_prose(schema.get('description', ''))}</p>"
    heading = f'<section id="type-{escape(name)}"><h2>{escape(name)}</h2>{about}'
    if "properties" not in schema:
        return f"{heading}<p>{_type(schema)}</p></section>"
    required = schema.get("required", ())
    rows = [
        (
            f"<code>{escape(field)}</code>",
            _type(kind) + ("" if field in required else " <span class=soft>optional</span>"),
            _prose(kind.get("description", "")),
        )
        for field, kind in schema["properties"].items()
    ]
    return f"{heading}{_table('Fields', ('field', 'type', ''), rows)}</section>"


def _type(schema: Json) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#type-{escape(name)}">{escape(name)}</a>'
    if members := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_type(member) for member in members)
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    if "enum" in schema:
        return " ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    words = [str(schema.get("format") or schema.get("type") or "any"), *_bounds(schema)]
    return escape(", ".join(words))


def _bounds(schema: Json) -> Iterable[str]:
    words = {
        "minimum": "at least {}",
        "exclusiveMinimum": "above {}",
        "maximum": "at most {}",
        "minLength": "{} or more characters",
        "maxLength": "up to {} characters",
        "default": "default {}",
    }
    for key, text in words.items():
        if schema.get(key) is not None:
            yield text.format(schema[key])


def _table(title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A titled table of cells that are HTML already; nothing for no rows."""
    if not rows:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<h3>{escape(title)}</h3><div class=table><table><tr>{head}</tr>{body}</table></div>"


def _prose(text: str) -> str:
    """Text with `code` in it, as HTML."""
    parts = text.split("`")
    return "".join(
        f"<code>{escape(part)}</code>" if at % 2 else escape(part) for at, part in enumerate(parts)
    )


def _verb(method: str) -> str:
    return f'<span class="verb {escape(method)}">{escape(method.upper())}</span>'
