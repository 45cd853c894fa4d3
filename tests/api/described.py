"""The OpenAPI document as a judge: every answer that a test sees must be as the document says, and no more."""

import re
from copy import deepcopy
from datetime import datetime
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from app.api.openapi import make_document

Json = Any

FORMATS = FormatChecker(formats=())
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def _is_time(value: object) -> bool:
    """Tell whether a text is a time in RFC 3339, and in UTC."""
    if not isinstance(value, str):
        return True
    datetime.fromisoformat(value)
    return _TIME.fullmatch(value) is not None


FORMATS.checks("date-time", raises=ValueError)(_is_time)


class Described:
    """The document, with every object closed: a member that it does not name is a fault."""

    def __init__(self) -> None:
        self.document = _closed(make_document())
        self._paths = [
            (re.compile(re.sub(r"\{path\}", "{any}", path).replace("{any}", ".+")), path)
            for path in sorted(self.document["paths"], key=lambda path: path.count("{"))
        ]

    def find(self, method: str, path: str) -> Json:
        """Return the operation that answers a call; None: the document knows none."""
        for pattern, template in self._paths:
            if re.fullmatch(re.sub(r"\\?\{\w+\\?\}", "[^/]+", pattern.pattern), path):
                found = self.document["paths"][template].get(method.lower())
                if found is not None:
                    return found
        return None

    def check(self, method: str, path: str, status: int, kind: str, body: Json) -> None:
        """Fail where an answer is not as described."""
        operation = self.find(method, path)
        if operation is None or status == 405:
            assert kind == "application/problem+json", f"{method} {path} is not described and answers {kind}"
            self.validate({"$ref": "#/components/schemas/Problem"}, body)
            return
        responses = operation["responses"]
        assert str(status) in responses, f"{method} {path} answers {status}, which is not described"
        content = responses[str(status)].get("content", {})
        if not content:
            assert not body, f"{method} {path}: {status} has a body that is not described"
            return
        assert kind in content, f"{method} {path}: {status} comes as {kind}, described are {list(content)}"
        if kind.endswith("json"):
            self.validate(content[kind]["schema"], body)

    def validate(self, schema: Json, body: Json) -> None:
        whole = {**schema, "components": self.document["components"]}
        errors = list(Draft202012Validator(whole, format_checker=FORMATS).iter_errors(body))
        assert not errors, "; ".join(f"{error.json_path}: {error.message}" for error in errors[:5])


def _closed(schema: Json) -> Json:
    """Return a copy in which objects hold nothing but their properties, unless they say otherwise."""
    if isinstance(schema, list):
        return [_closed(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {name: _closed(value) for name, value in deepcopy(schema).items()}
    if copy.get("type") == "object" and isinstance(copy.get("properties"), dict):
        copy.setdefault("additionalProperties", False)
    return copy
