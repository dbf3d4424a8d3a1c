"""What schemathesis is told about the box (`SCHEMATHESIS_HOOKS`): ids that are there, and a `Version` that is served.

`BOTHY_BOX` names a JSON file: `version`, and `known`, the values by the names of parameters and members. What is generated
at random reaches little more than 404 and 406. So of the parts of a request that are meant to be right, headers are made
right, and three of four ids and descriptors' names are those of something that is on the box. What is meant to be wrong stays.

One thing that ETSI's schemas forbid is served: null for a member that may be left out is taken as left out, since clients that
were generated send it.
"""

import json
import os
import zlib

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.core.parameters import ParameterLocation

with open(os.environ["BOTHY_BOX"], encoding="utf-8") as box:
    BOX = json.load(box)


def known(name, value):
    """The same for the same value, so that a failure can be repeated."""
    those = BOX["known"].get(name)
    if not those or not isinstance(value, str):
        return value
    at = zlib.crc32(value.encode("utf-8", "surrogatepass"))
    return those[(at >> 2) % len(those)] if at % 4 else value


def within(value, name=None):
    if isinstance(value, dict):
        return {name: within(entry, name) for name, entry in value.items()}
    if isinstance(value, list):
        return [within(entry, name) for entry in value]
    return known(name, value)


def wrong(case, location):
    return case.meta is not None and case.meta.is_negative_at(location)


@schemathesis.hook
def before_call(context, case, kwargs):
    if not wrong(case, ParameterLocation.HEADER) and "Version" in case.headers:
        case.headers["Version"] = BOX["version"]
    if not wrong(case, ParameterLocation.PATH):
        case.path_parameters = {name: known(name, value) for name, value in case.path_parameters.items()}
    if not wrong(case, ParameterLocation.BODY) and isinstance(case.body, (dict, list)):
        case.body = within(case.body)


@schemathesis.serializer("application/zip")
def zipped(context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


def has_null(value):
    if isinstance(value, dict):
        return any(has_null(entry) for entry in value.values())
    if isinstance(value, list):
        return any(has_null(entry) for entry in value)
    return value is None


@schemathesis.hook
def filter_failure(context, failure, case, response):
    return not (isinstance(failure, AcceptedNegativeData) and isinstance(case.body, dict) and has_null(case.body))
