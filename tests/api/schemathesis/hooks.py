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
from schemathesis.core.jsonschema import make_validator
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


def without_nulls(value):
    if isinstance(value, dict):
        return {name: without_nulls(entry) for name, entry in value.items() if entry is not None}
    if isinstance(value, list):
        return [without_nulls(entry) for entry in value]
    return value


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Only what would be right but for its nulls is no finding."""
    if not isinstance(failure, AcceptedNegativeData) or not isinstance(case.body, dict) or without_nulls(case.body) == case.body:
        return True
    form = case.operation.get_body_for_media_type(case.media_type)
    if form is None:
        return True
    return not make_validator(form.optimized_schema, case.operation.schema.adapter.jsonschema_validator_cls).is_valid(
        without_nulls(case.body)
    )
