"""OpenAPI 3.1 of the HTTP interface, generated from the route table and the input types. Decides no behaviour."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from quant_trading_system.dashboard.problems import TITLES
from quant_trading_system.dashboard.route_table import ROUTES, Auth, Route

_REF = "#/components/schemas/{name}"
_LISTS = {"positions", "orders", "fills", "decisions", "strategies", "alerts", "reconciliation"}
_OTHER_TYPES = {"metrics": "text/plain", "livez": "text/plain", "readyz": "text/plain", "events": "text/event-stream"}


def document(version: str) -> dict[str, Any]:
    """The whole document; `version` is the package's."""
    routes = [route for route in ROUTES if route.is_api]
    inputs = [kind for route in routes for kind in (route.query, route.body) if kind is not None]
    _, schemas = msgspec.json.schema_components(dict.fromkeys(inputs), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    queries = {route.query.__name__ for route in routes if route.query is not None}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AlphaTrade",
            "version": version,
            "description": "Money and quantities are strings. Times are RFC 3339 in UTC. Errors are problem+json.",
        },
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in schemas.items() if name not in queries} | _own_schemas(),
            "securitySchemes": {
                "control": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Content of control.token in the state directory.",
                }
            },
        },
    }


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}_{re.sub(r'[^a-z0-9]+', '_', route.path).strip('_')}",
        "summary": route.summary,
        "responses": {str(status): _response(route, status) for status in route.statuses},
    }
    parameters = _parameters(route, schemas)
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        reference = {"$ref": _REF.format(name=route.body.__name__)}
        is_needed = bool(schemas[route.body.__name__].get("required"))
        operation["requestBody"] = {"required": is_needed, "content": {"application/json": {"schema": reference}}}
    if route.auth is Auth.TOKEN:
        operation["security"] = [{"control": []}]
    return operation


def _parameters(route: Route, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    if route.query is not None:
        properties = schemas[route.query.__name__].get("properties", {})
        found += [{"name": name, "in": "query", "schema": schema} for name, schema in properties.items()]
    return found


def _response(route: Route, status: int) -> dict[str, Any]:
    if status != 200 and not (route.name in ("livez", "readyz") and status == 503):
        schema = {"$ref": _REF.format(name="Problem")}
        return {
            "description": TITLES.get(status, "Error"),
            "content": {"application/problem+json": {"schema": schema}},
        }
    content_type = _OTHER_TYPES.get(route.name, "application/json")
    content = {"type": "string"} if content_type != "application/json" else _answer(route)
    return {"description": "OK" if status == 200 else "Not so", "content": {content_type: {"schema": content}}}


def _answer(route: Route) -> dict[str, Any]:
    if route.auth is Auth.TOKEN:
        return {"$ref": _REF.format(name="Accepted")}
    if route.name in _LISTS:
        key = "passes" if route.name == "reconciliation" else route.name
        return {
            "type": "object",
            "required": [key],
            "properties": {key: {"type": "array", "items": {"type": "object"}}},
        }
    return {"type": "object"}


def _own_schemas() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "Problem": {
            "type": "object",
            "required": ["type", "title", "status", "code", "detail"],
            "properties": {
                "type": text,
                "title": text,
                "status": {"type": "integer"},
                "code": text,
                "detail": text,
                "field": text,
            },
        },
        "Accepted": {
            "type": "object",
            "required": ["accepted", "text"],
            "properties": {
                "accepted": {"type": "boolean"},
                "text": text,
                "details": {"type": "object", "additionalProperties": text},
            },
        },
    }
