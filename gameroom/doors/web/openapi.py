"""The OpenAPI 3.1 description of the REST door, made from the declarations that its requests are read by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from gameroom.doors.web.calls import RAW
from gameroom.doors.web.declare import Auth, RawBody, Reply, Route
from gameroom.doors.web.problems import MEDIA_TYPE
from gameroom.doors.web.schemas import SCHEMAS, ref

_PARAMETER = re.compile(r"<(?:[a-z]+:)?([a-z_]+)>")

_SECURITY: dict[Auth, list[dict[str, list[str]]]] = {
    "session": [{"session": []}],
    "maybe session": [{}, {"session": []}],
    "seat": [{"seat": []}],
    "session or seat": [{"session": []}, {"seat": []}],
    "developer session": [{"developer": []}],
}


def describe(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operations = paths.setdefault(_PARAMETER.sub(r"{\1}", route.path), {})
        for method in route.methods:
            operations[method.lower()] = _operation(route, method)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "gameroom",
            "version": version,
            "summary": "Rooms in which multiplayer games are played.",
            "description": "Play itself travels by WebSocket at /socket/{room_id}: see /asyncapi.json.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "session": {"type": "http", "scheme": "bearer", "description": "the session token of a player's log-in"},
                "developer": {"type": "http", "scheme": "bearer", "description": "the session token of a developer's log-in"},
                "seat": {"type": "http", "scheme": "bearer", "description": "the seat token of a member"},
            },
        },
    }


def _operation(route: Route, method: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name if method == route.methods[0] else f"{route.name}_{method.lower()}",
        "summary": route.about,
        "responses": {str(status): _response(route, reply) for status, reply in route.replies.items()},
    }
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in _PARAMETER.findall(route.path)]
    parameters += [
        {"name": field.name, "in": "query", "required": field.required, "description": field.about, "schema": field.kind.schema()}
        for field in route.query
    ]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        media_type = RAW if isinstance(route.body, RawBody) else "application/json"
        operation["requestBody"] = {"required": route.body_needed, "content": {media_type: {"schema": route.body.schema()}}}
    if route.auth in _SECURITY:
        operation["security"] = _SECURITY[route.auth]
    for status in sorted({400, *route.problems, *((413, 415) if route.body is not None else ()), 500}):
        operation["responses"][str(status)] = {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": ref("Problem")}}}
    return operation


def _response(route: Route, reply: Reply) -> dict[str, Any]:
    response: dict[str, Any] = {"description": reply.about}
    if reply.schema is not None:
        response["content"] = {reply.media_type: {"schema": reply.schema}}
    elif reply.media_type != "application/json":
        response["content"] = {reply.media_type: {}}
    if route.page and reply.schema is not None:
        response["content"]["text/html"] = {}
    if reply.headers:
        response["headers"] = {name: {"schema": {"type": "string"}} for name in reply.headers}
    return response
