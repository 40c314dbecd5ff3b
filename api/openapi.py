"""What the OpenAPI document says beyond the routes themselves: problems, keys, and how things are everywhere."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.allowed import Schema
from api.schemas import Problem

DESCRIPTION = """\
A training service for multi-layer perceptrons: submit a job, watch it, predict with its model.

Answers are strict JSON (what is not finite is null), times RFC 3339 in UTC, errors RFC 9457 problems that name the
field, its value and what is allowed. Lists are newest first (metrics and logs oldest first) and paged by `cursor`.
Unknown fields and query parameters are refused.
"""

_WHY = {
    400: "The body is not strict JSON",
    401: "No API key, or an unknown one (where keys are in use)",
    403: "The key's scopes do not allow it, or the request comes from a foreign host or page",
    404: "There is no such thing for this tenant",
    405: "The path does not take this method",
    409: "At odds with the state things are in",
    413: "More bytes or rows than allowed",
    415: "A Content-Type that this call does not read",
    422: "A field, parameter or header is not as it should be",
    429: "The queue is full; `Retry-After` says when to try again",
    503: "A part that is needed does not answer now; `Retry-After` says when to try again",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Document the problems of a route, beside those that every route has."""
    return {status: _problem(_WHY[status]) for status in sorted({401, 403, 422, 503, *statuses})}


def _problem(why: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": why, "content": {"application/problem+json": {"schema": schema}}}


def content(media_type: str, description: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """Document an answer that is not JSON."""
    return {"description": description, "content": {media_type: {"schema": schema or {"type": "string"}}}}


def describe(app: FastAPI, *, keys: bool) -> dict[str, Any]:
    """Make the document once."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        components = document.setdefault("components", {})
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        components.setdefault("schemas", {}).update({**schema.pop("$defs", {}), "Problem": schema})
        if keys:
            components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            document["security"] = [{"key": []}]
        app.openapi_schema = document
    return app.openapi_schema


def schemas_of(document: dict[str, Any], path: str, method: str) -> dict[str, Schema]:
    """Return what a call documents of each part of its requests: "body", "query", "header", "path"."""
    call = document["paths"][path][method.lower()]
    nodes: dict[str, dict[str, Any]] = {place: {"properties": {}} for place in ("query", "header", "path")}
    for parameter in call.get("parameters", ()):
        nodes[parameter["in"]]["properties"][parameter["name"]] = parameter["schema"]
    nodes["body"] = call.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return {place: Schema(node, document) for place, node in nodes.items()}
