"""Judges answers by Alpaca's own OpenAPI schemas. Decides what deviates from them; who may is `conformance_tables`.

Keys beyond a schema are never a deviation: the server adds fields without notice (reference 1.3). Long lists are judged
by both of their ends, so that a page of ten thousand bars costs what a page of two hundred does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tests.contract.conformance_tables import WAIVERS, is_status_known

Json = Any

FOLDER = Path(__file__).parents[3] / "shared" / "reference" / "alpaca_openapi"
NAMES = ("trading", "market_data")
METHODS = ("get", "post", "put", "patch", "delete")
LIST_ENDS = 100
EVENT_STREAM = "text/event-stream"

needs_specifications = pytest.mark.skipif(not FOLDER.is_dir(), reason="Alpaca's specifications are not beside this")

_STAMP = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_PARAMETER = re.compile(r"\{[^}]+\}")

formats = jsonschema.FormatChecker(formats=())


@formats.checks("date-time")
def _is_stamp(value: object) -> bool:
    return not isinstance(value, str) or _STAMP.fullmatch(value) is not None


@formats.checks("uuid")
def _is_uuid(value: object) -> bool:
    return not isinstance(value, str) or _UUID.fullmatch(value) is not None


@formats.checks("date", raises=ValueError)
def _is_date(value: object) -> bool:
    return not isinstance(value, str) or bool(date.fromisoformat(value))


@formats.checks("decimal", raises=InvalidOperation)
def _is_decimal(value: object) -> bool:
    return not isinstance(value, str) or Decimal(value).is_finite()


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path of a specification."""

    specification: str
    method: str
    template: str
    responses: Mapping[str, Json]

    @property
    def name(self) -> str:
        return f"{self.method.upper()} {self.template}"


@dataclass(frozen=True, slots=True)
class Deviation:
    """What an answer says that its schema does not allow."""

    operation: str
    status: int
    place: str  # of the value, with `*` for the positions of lists: "*/body/legs/*/expires_at"
    rule: str  # the schema's keyword
    text: str
    keys: frozenset[str]  # of the value, where it is an object

    def __str__(self) -> str:
        return f"{self.operation} {self.status} at {self.place or '.'} ({self.rule}): {self.text}"


@cache
def document_of(name: str) -> Json:
    """A specification as it is written, in the words of JSON Schema 2020-12."""
    written = yaml.load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    return _without_nullable(written) if written["openapi"].startswith("3.0") else written


def _without_nullable(node: Json) -> Json:
    """OpenAPI 3.0 says `nullable: true` where JSON Schema has a type `null`."""
    if isinstance(node, list):
        return [_without_nullable(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {key: _without_nullable(value) for key, value in node.items() if key != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if node.get("nullable") is True else plain


@cache
def operations() -> tuple[Operation, ...]:
    """Everything the specifications name; paths without parameters first, because they win."""
    found = [
        Operation(name, method, template, item[method]["responses"])
        for name in NAMES
        for template, item in document_of(name)["paths"].items()
        for method in METHODS
        if method in item
    ]
    return tuple(sorted(found, key=lambda operation: "{" in operation.template))


def operation_of(method: str, raw_path: str) -> Operation | None:
    """The operation that a request asks for, None where the specifications have none."""
    for operation in operations():
        if operation.method == method.lower() and _pattern_of(operation.template).fullmatch(raw_path):
            return operation
    return None


@cache
def _pattern_of(template: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(re.escape(part) for part in _PARAMETER.split(template)))


def is_status_specified(operation: Operation, status: int) -> bool:
    return str(status) in operation.responses


def deviations_of(operation: Operation, status: int, body: Json) -> list[Deviation]:
    """What a body says that the schema of its status does not allow, without what is waived."""
    found = [_deviation(operation, status, error) for error in _judged(operation, status, _ends_of(body))]
    return [deviation for deviation in found if not _is_waived(deviation)]


def _deviation(operation: Operation, status: int, error: jsonschema.ValidationError) -> Deviation:
    return Deviation(
        operation=operation.name,
        status=status,
        place="/".join("*" if isinstance(part, int) else str(part) for part in error.absolute_path),
        rule=str(error.validator),
        text=error.message[:300],
        keys=frozenset(error.instance) if isinstance(error.instance, dict) else frozenset(),
    )


def _judged(operation: Operation, status: int, body: Json) -> Iterator[jsonschema.ValidationError]:
    validator = _validator_of(operation.specification, operation.method, operation.template, status)
    for error in validator.iter_errors(body) if validator is not None else ():
        yield from _leaves_of(error)


def _leaves_of(error: jsonschema.ValidationError) -> Iterator[jsonschema.ValidationError]:
    """The errors of the closest branch of an anyOf: they say what is wrong, the anyOf only that something is.

    A branch that is for another sort of object, by a word that it does not know, is not close.
    """
    if not error.context:
        yield error
        return
    branches: dict[object, list[jsonschema.ValidationError]] = {}
    for cause in error.context:
        branches.setdefault(cause.schema_path[0], []).append(cause)
    for cause in min(branches.values(), key=lambda causes: (any(c.validator == "enum" for c in causes), len(causes))):
        yield from _leaves_of(cause)


@cache
def _validator_of(name: str, method: str, template: str, status: int) -> jsonschema.Draft202012Validator | None:
    """None where the status has no body."""
    pointer = ["paths", template, method, "responses", str(status)]
    response = _at(name, pointer)
    while "$ref" in response:
        pointer = [_unescaped(part) for part in response["$ref"].removeprefix("#/").split("/")]
        response = _at(name, pointer)
    if "application/json" not in response.get("content", {}):
        return None
    escaped = "/".join(_escaped(part) for part in [*pointer, "content", "application/json", "schema"])
    if "schema" not in response["content"]["application/json"]:
        return None
    return jsonschema.Draft202012Validator(
        {"$ref": f"urn:{name}#/{escaped}"}, registry=_registry(), format_checker=formats
    )


@cache
def _registry() -> Registry[Json]:
    return Registry().with_resources((f"urn:{name}", DRAFT202012.create_resource(document_of(name))) for name in NAMES)


def _at(name: str, pointer: list[str]) -> Json:
    node = document_of(name)
    for part in pointer:
        node = node[part]
    return node


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


def _unescaped(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")


def _ends_of(body: Json) -> Json:
    if isinstance(body, list):
        kept = body if len(body) <= 2 * LIST_ENDS else body[:LIST_ENDS] + body[-LIST_ENDS:]
        return [_ends_of(item) for item in kept]
    if isinstance(body, dict):
        return {key: _ends_of(value) for key, value in body.items()}
    return body


def _is_waived(deviation: Deviation) -> bool:
    return any(
        re.fullmatch(waiver.operations, deviation.operation)
        and re.fullmatch(waiver.places, deviation.place)
        and waiver.rule == deviation.rule
        and (not waiver.with_key or waiver.with_key in deviation.keys)
        for waiver in WAIVERS
    )


def check_answer(method: str, raw_path: str, status: int, content: bytes) -> None:
    """Assert that an answer is one that Alpaca's specification, or the table of known statuses, has for the request."""
    operation = operation_of(method, raw_path) if FOLDER.is_dir() else None
    if operation is not None:
        judge(operation, status, content)


def judge(operation: Operation, status: int, content: bytes) -> None:
    """Assert that an answer of one operation is known by status and form."""
    if not is_status_specified(operation, status):
        known = is_status_known(operation.name, status)
        assert known, f"{operation.name}: {status} is in no table; body {content[:300]!r}"
        return
    if status == HTTPStatus.OK and EVENT_STREAM in operation.responses["200"].get("content", {}):
        return  # no one body: its tests judge each event
    body = json.loads(content) if content else None
    deviations = deviations_of(operation, status, body)
    assert not deviations, "expected the schema's form, found:\n" + "\n".join(map(str, deviations[:20]))
