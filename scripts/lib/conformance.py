#!/usr/bin/env python3
"""Checks requests to the local cloud and its responses against Google's description of the Compute Engine API
(its discovery document).

    conformance.py DISCOVERY_DOCUMENT EXCHANGES_DIRECTORY

Prints each violation once, then `N exchanges checked, V violations`; exits with 1 if there are any.

It checks that method and path exist, query parameters, the response, and the request's body if the client is
hakube's (Google's for Rust) or the request was accepted: tests of other clients send invalid requests on
purpose. Fields that the document doesn't have are violations.
"""

import functools
import json
import pathlib
import re
import sys
import urllib.parse

import jsonschema

SERVICE = "/compute/v1/"
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"
# Query parameters that gcloud sends although they aren't in the document: its client was generated from another
# edition. No other client may send them.
GCLOUDS_OWN = {"returnPartialSuccess"}
NAME = r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?"
FORMATS = {
    "int64": {"type": "string", "pattern": r"^-?\d{1,19}$"},
    "uint64": {"type": "string", "pattern": r"^\d{1,20}$"},
    "int32": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "uint32": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    "byte": {"type": "string", "pattern": r"^[A-Za-z0-9+/_-]*={0,2}$"},
    "google-datetime": {"type": "string", "pattern": TIME},
    "google-duration": {"type": "string", "pattern": r"^\d+(\.\d+)?s$"},
}
ERROR = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "errors"],
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string", "minLength": 1},
                "errors": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["message", "domain", "reason"],
                        "properties": {
                            "domain": {"enum": ["global", "usageLimits"]},
                            "reason": {"type": "string", "pattern": r"^[A-Za-z_]+$"},
                        },
                    },
                },
            },
        }
    },
}


def schema_of(described, name=""):
    """A part of the discovery document as a JSON schema."""
    if "$ref" in described:
        return {"$ref": "#/$defs/" + described["$ref"]}
    kind = described.get("type")
    if kind == "any" or described.get("format") == "google.protobuf.Any":
        return {}
    schema = {"type": kind} | FORMATS.get(described.get("format"), {})
    if "enum" in described:
        schema["enum"] = described["enum"]
    if "pattern" in described:
        schema["pattern"] = f"^(?:{described['pattern']})$"
    if name.endswith(("Timestamp", "insertTime", "startTime", "endTime")) and kind == "string":
        schema["pattern"] = TIME
    if kind == "array":
        schema["items"] = schema_of(described["items"])
    if kind == "object":
        fields = described.get("properties", {})
        schema["properties"] = {field: schema_of(part, field) for field, part in fields.items()}
        rest = described.get("additionalProperties")
        schema["additionalProperties"] = schema_of(rest) if rest else False
        schema["requiredBy"] = required_by(fields)
    return schema


def required_by(fields):
    """{method: fields that its requests must have}"""
    methods = {}
    for field, part in fields.items():
        for method in part.get("annotations", {}).get("required", []):
            methods.setdefault(method, []).append(field)
    return methods


class Described:
    """The API, as its discovery document describes it."""

    def __init__(self, document):
        self.schemas = {name: schema_of(part) for name, part in document["schemas"].items()}
        # Parameters of all Google APIs: https://docs.cloud.google.com/apis/docs/system-parameters
        alt = document["parameters"]["alt"]
        date = {"type": "string", "location": "query", "pattern": r"\d{4}-\d\d-\d\d"}
        self.common = document["parameters"] | {"$alt": alt, "$apiVersion": date}
        self.methods = {}
        self._collect(document)
        self.asked_by = None
        keywords = {"requiredBy": self._check_required}
        self.validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, keywords)

    def _collect(self, part):
        for method in part.get("methods", {}).values():
            path = method["path"].split("/")
            self.methods.setdefault((method["httpMethod"], len(path)), []).append((path, method))
        for resource in part.get("resources", {}).values():
            self._collect(resource)

    def _check_required(self, _validator, methods, instance, _schema):
        for field in methods.get(self.asked_by, []):
            if isinstance(instance, dict) and field not in instance:
                yield jsonschema.ValidationError(f"'{field}' is required by {self.asked_by}")

    @functools.lru_cache(maxsize=None)
    def method(self, verb, path):
        """The method of a request, if it exists."""
        parts = path.removeprefix(SERVICE).split("/")
        for template, method in self.methods.get((verb, len(parts)), []):
            if all(self._fits(method, wanted, part) for wanted, part in zip(template, parts)):
                return method
        return None

    def _fits(self, method, wanted, part):
        if not wanted.startswith("{"):
            return wanted == part
        pattern = method["parameters"][wanted.strip("{+}")].get("pattern", ".+")
        return re.fullmatch(pattern, urllib.parse.unquote(part)) is not None

    @functools.lru_cache(maxsize=None)
    def _validator_of(self, name):
        return self.validator({"$ref": f"#/$defs/{name}", "$defs": self.schemas})

    def faults_of_body(self, described, body, asked_by=None):
        """Violations in the body of a request or response."""
        if described is None:
            return ["there should be no body"] if body else []
        if body is None:
            return ["there is no body"]
        self.asked_by = asked_by
        return faults(self._validator_of(described["$ref"]), body)

    def faults_of_query(self, method, query, client):
        """Violations in a request's query parameters."""
        wrong = []
        known = self.common | method.get("parameters", {})
        given = urllib.parse.parse_qs(query, keep_blank_values=True)
        for name, values in given.items():
            if name in GCLOUDS_OWN and not client:
                continue
            described = known.get(name)
            if described is None or described.get("location") != "query":
                wrong.append(f"query parameter {name} is unknown")
                continue
            if len(values) > 1 and not described.get("repeated"):
                wrong.append(f"query parameter {name} is given {len(values)} times")
            wrong += [
                f"query parameter {name}: '{value}' is no {described.get('format') or described['type']}"
                for value in values
                if not is_value(described, value)
            ]
        for name, described in method.get("parameters", {}).items():
            if described.get("required") and described["location"] == "query" and name not in given:
                wrong.append(f"query parameter {name} is missing")
        return wrong


def is_value(described, text):
    if "enum" in described:
        return text in described["enum"]
    if described["type"] == "boolean":
        return text.lower() in ("true", "false")  # gcloud says True
    if described["type"] == "integer" or described.get("format") in ("int64", "uint64"):
        return re.fullmatch(r"-?\d+", text) is not None
    return "pattern" not in described or re.fullmatch(described["pattern"], text) is not None


def faults(validator, body):
    # Without positions in lists, the same fault is reported once.
    return [
        f"{'.'.join('[]' if isinstance(p, int) else p for p in error.absolute_path) or 'body'}: {error.message}"
        for error in validator.iter_errors(body)
    ]


REFUSAL = jsonschema.Draft202012Validator(ERROR)


def faults_of(api, exchange):
    """All violations in one exchange."""
    method = api.method(exchange["method"], exchange["path"])
    accepted = exchange["status"] < 300
    wrong = []
    if accepted or exchange["client"].startswith("gl-rust/"):
        if method is None:
            return ["there is no such method"]
        wrong += [f"request: {fault}" for fault in api.faults_of_query(method, exchange["query"], exchange["client"])]
        sent = api.faults_of_body(method.get("request"), exchange["request"], method["id"])
        wrong += [f"request: {fault}" for fault in sent]
    if accepted:
        answered = api.faults_of_body(method.get("response"), exchange["answer"])
    else:
        answered = faults(REFUSAL, exchange["answer"])
        code = isinstance(exchange["answer"], dict) and exchange["answer"].get("error", {}).get("code")
        if code != exchange["status"]:
            answered.append(f"error.code is {code}, the status {exchange['status']}")
    return wrong + [f"answer: {fault}" for fault in answered]


def form(value):
    """A value reduced to what the checks depend on."""
    if isinstance(value, dict):
        return tuple(sorted((key, form(part)) for key, part in value.items()))
    if isinstance(value, list):
        return tuple(sorted({form(part) for part in value}, key=repr))
    if not isinstance(value, str):
        return repr(value) if isinstance(value, bool) else type(value).__name__
    if value.isdigit():
        return "0"
    if re.fullmatch(TIME, value):
        return "time"
    if re.fullmatch(NAME, value):
        return "name"
    if re.fullmatch(r"[A-Z][A-Za-z0-9_. -]*", value):
        return value  # perhaps one of an enum
    return "text"


def main(document, directory):
    api = Described(json.loads(pathlib.Path(document).read_text(encoding="utf-8")))
    seen, reported, checked = set(), {}, 0
    for file in sorted(pathlib.Path(directory).glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                exchange = json.loads(line)
            except ValueError:
                continue  # the last line of a daemon that was killed
            checked += 1
            method = api.method(exchange["method"], exchange["path"])
            kind = (
                method["id"] if method else exchange["path"],
                exchange["status"],
                exchange["client"].split("/")[0],
                re.sub(r"\d+", "0", exchange["query"]),
                form(exchange["request"]),
                form(exchange["answer"]),
            )
            if kind in seen:
                continue
            seen.add(kind)
            for fault in faults_of(api, exchange):
                name = method["id"] if method else f"{exchange['method']} {exchange['path']}"
                reported.setdefault(f"{name}: {fault}", exchange)
    for fault, exchange in sorted(reported.items()):
        print(f"{fault}\n    {exchange['method']} {exchange['path']} -> {exchange['status']}")
    print(f"conformance: {checked} exchanges checked ({len(seen)} different ones), {len(reported)} violations")
    return 1 if reported else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
