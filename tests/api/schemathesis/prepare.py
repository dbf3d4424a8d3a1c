#!/usr/bin/env python3
"""ETSI's OpenAPI files as schemathesis is to read them: a copy of each in a folder of the test's own.

Usage: prepare.py < PLAN

PLAN is JSON: `root` and `out` (folders), `apis` (each a `file` below `root` that has paths, and the `base` before them), and
ETSI's own mistakes: `mends`, each a `file`, a `pointer` (RFC 6901), and `put`, what should stand there (without it the place
is taken out); `paths`, each what is written and what is meant.

These rules hold for every API. Parameters named Accept, Authorization and Content-Type go: OpenAPI 3.0.2 (4.7.12.1) has them
ignored. Version may be left out, as real clients do. A method that is declared only to be refused (405) is none. Each request
needs a token (SOL013 8.3), which OpenAPI calls a security scheme. And each method may answer the codes that SOL013 6.4 has
for all methods, of which an API's own file lists only some.
"""

import json
import pathlib
import sys

import yaml

METHODS = ("get", "post", "put", "patch", "delete")
UNSAID = {"Accept", "Authorization", "Content-Type"}
# SOL013 table 6.4-1 and RFC 9110 15.5.16: whatever the resource is.
ANYWHERE = ("400", "401", "403", "404", "405", "406", "413", "414", "415", "422", "429", "500", "503", "504")
PROBLEM = {
    "description": "SOL013 6.3",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "detail", "instance"],
                "properties": {
                    "type": {"type": "string"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "instance": {"type": "string"},
                },
            }
        }
    },
}


class Loader(yaml.CSafeLoader):
    """YAML without dates: they are text in OpenAPI."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def texts(value):
    """The same with text as keys: JSON has no others."""
    if isinstance(value, dict):
        return {str(key): texts(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [texts(entry) for entry in value]
    return value


def mend(document, pointer, mends):
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    at = document
    for part in way:
        at = at[int(part)] if isinstance(at, list) else at[part]
    key = int(last) if isinstance(at, list) else last
    if "put" in mends:
        at[key] = mends["put"]
    else:
        del at[key]


def look(document, path, reference, all_of):
    """What a reference from `path` names."""
    file, _, pointer = reference.partition("#")
    target = all_of[(path.parent / file).resolve()] if file else document
    for part in pointer.split("/")[1:]:
        target = target[part.replace("~1", "/").replace("~0", "~")]
    return target


def rules(document, path, all_of):
    """What holds for each method of an API."""
    document.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    for way, item in list(document["paths"].items()):
        if "$ref" in item:
            # `api_versions`, which all APIs share.
            elsewhere = item["$ref"].partition("#")[0]
            # A path may be another one of the same file.
            file = (path.parent / elsewhere).resolve() if elsewhere else path
            item = absolute(json.loads(json.dumps(look(document, path, item["$ref"], all_of))), file)
            document["paths"][way] = item
        for of in [item, *(item[m] for m in METHODS if m in item)]:
            known = of.get("parameters", [])
            named = [p if "$ref" not in p else look_any(document, path, p["$ref"], all_of) for p in known]
            may = [n | {"required": False} if n["name"] == "Version" else p for p, n in zip(known, named)]
            of["parameters"] = [p for p, n in zip(may, named) if n["name"] not in UNSAID]
        for method in [m for m in METHODS if m in item and set(item[m]["responses"]) == {"405"}]:
            del item[method]
        for method in METHODS:
            if method in item:
                responses = item[method]["responses"]
                for code in ANYWHERE:
                    responses[code] = PROBLEM
                for code in [c for c in responses if c >= "400"]:
                    responses[code] = PROBLEM


def look_any(document, path, reference, all_of):
    if reference.startswith("/"):
        file, _, pointer = reference.partition("#")
        return look(all_of[pathlib.Path(file)], pathlib.Path(file), "#" + pointer, all_of)
    return look(document, path, reference, all_of)


def absolute(value, file):
    """References out of `file` as they are from elsewhere."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            name, _, pointer = value["$ref"].partition("#")
            return {"$ref": f"{(file.parent / name).resolve() if name else file}#{pointer}"}
        return {key: absolute(entry, file) for key, entry in value.items()}
    if isinstance(value, list):
        return [absolute(entry, file) for entry in value]
    return value


def renamed(paths, base, slips):
    """Paths as they are meant."""
    meant = {}
    for path, item in paths.items():
        whole = base + path
        for slip, instead in slips:
            whole = whole.replace(slip, instead)
        meant[whole.removeprefix(base)] = item
    return meant


def main():
    plan = json.load(sys.stdin)
    root, out = pathlib.Path(plan["root"]), pathlib.Path(plan["out"]).resolve()
    all_of = {}
    for file in root.rglob("*.yaml"):
        name = file.relative_to(root)
        document = texts(yaml.load(file.read_text(encoding="utf-8"), Loader))
        for mends in plan["mends"]:
            if mends["file"] == str(name):
                try:
                    mend(document, mends["pointer"], mends)
                except (KeyError, IndexError, TypeError) as fault:
                    sys.exit(f"{name}{mends['pointer']}: nothing there to mend ({fault!r}): is it ETSI's mistake still?")
        all_of[out / name] = document
    for api in plan["apis"]:
        path = out / api["file"]
        all_of[path]["paths"] = renamed(all_of[path]["paths"], "/" + api["base"], plan["paths"])
        rules(all_of[path], path, all_of)
    for path, document in all_of.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))


if __name__ == "__main__":
    main()
