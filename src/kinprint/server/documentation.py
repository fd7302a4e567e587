"""The API's own description (OpenAPI), as the page `/docs` shows it: no script, nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

JSON, BYTES = "application/json", "application/octet-stream"


@dataclass(frozen=True)
class Field:
    """A parameter of a request, or a field of an object.

    Attributes:
        name, kind, about: what people read; `kind` names objects of the description.
        where: "path" or "query" of a parameter.
        required: whether it must be given.
    """

    name: str
    kind: str
    about: str
    where: str = ""
    required: bool = False


@dataclass(frozen=True)
class Operation:
    """A request that the API answers.

    Attributes:
        method, path, about: what people read.
        parameters: of path and query.
        body: what is sent; empty for nothing.
        answers: status, what it holds, and what it means.
        example: a command that makes the request.
    """

    method: str
    path: str
    about: str
    parameters: tuple[Field, ...]
    body: str
    answers: tuple[tuple[str, str, str], ...]
    example: str


def operations(described: Schema, url: str) -> Iterator[Operation]:
    """Every request of a description, for a server at an address."""
    for path, methods in described["paths"].items():
        for method, told in methods.items():
            bodies = told.get("requestBody", {}).get("content", {})
            yield Operation(
                method.upper(),
                path,
                told.get("description") or told.get("summary", ""),
                tuple(_parameter(each) for each in told.get("parameters", [])),
                ", ".join(_kind(body.get("schema", {})) for body in bodies.values()),
                tuple(_answer(status, answer) for status, answer in told["responses"].items()),
                _example(method.upper(), url + path, bodies, described),
            )


def objects(described: Schema) -> Iterator[tuple[str, str, list[Field]]]:
    """Name, meaning and fields of every object that requests and answers hold."""
    for name, schema in described.get("components", {}).get("schemas", {}).items():
        required = schema.get("required", [])
        fields = [
            Field(field, _kind(told), told.get("description", ""), required=field in required)
            for field, told in schema.get("properties", {}).items()
        ]
        if fields:
            yield name, schema.get("description", ""), fields


def _parameter(told: Schema) -> Field:
    schema = told.get("schema", {})
    default = f"; {json.dumps(schema['default'])} if not given" if schema.get("default") not in (None, "") else ""
    return Field(told["name"], _kind(schema) + default, told.get("description", ""), told["in"], told.get("required", False))


def _kind(schema: Schema) -> str:
    """A type in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_kind(each) for each in schema[several])
    if "enum" in schema:
        return ", ".join(json.dumps(value) for value in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    kind = "bytes" if schema.get("format") == "binary" else str(schema.get("type", "anything"))
    bounds = [f"{sign} {schema[key]}" for key, sign in (("minimum", "≥"), ("maximum", "≤")) if key in schema]
    return " ".join([kind, *([schema["pattern"]] if "pattern" in schema else []), *bounds])


def _answer(status: str, told: Schema) -> tuple[str, str, str]:
    content = told.get("content", {})
    kinds = [_kind(each.get("schema", {})) if kind == JSON else kind for kind, each in content.items()]
    return status, ", ".join(kinds), told.get("description", "")


def _example(method: str, url: str, bodies: Schema, described: Schema) -> str:
    shown = url.replace("{digest}", "DIGEST").replace("{key}", "ID")
    sent = ""
    if BYTES in bodies:
        sent = " --data-binary @MODEL.kinprint"
    elif JSON in bodies:
        sent = f" --json '{json.dumps(_sample(bodies[JSON]['schema'], described))}'"
    return f"curl{'' if method == 'GET' or sent else f' -X {method}'} {shown}{sent}"


def _sample(schema: Schema, described: Schema) -> Any:
    """Something of a type: what must be given, with words in place of digests and ids."""
    if "$ref" in schema:
        return _sample(described["components"]["schemas"][_kind(schema)], described)
    if "oneOf" in schema:
        return _sample(schema["oneOf"][0], described)
    if schema.get("type") == "object":
        return {name: _sample(schema["properties"][name], described) for name in schema.get("required", [])}
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    return "ID" if "32" in schema.get("pattern", "") else "DIGEST"
