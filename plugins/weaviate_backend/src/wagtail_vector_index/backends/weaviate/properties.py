"""Turns filter fields into properties: names, types and values.

Names get a prefix, because Weaviate reserves some names. Texts are stored as quoted JSON,
because Weaviate trims white space and treats an empty text as none. Weaviate's dates only
reach from 1678 to 2262, so a datetime becomes two whole numbers.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from wagtail_vector_index.contract import FieldType

from .protocol import base_pb2, batch_pb2

#: The property with the metadata as JSON, which is not indexed. Collections of other programs
#: have none of this name, so a server refuses to read them.
METADATA = "wagtail_metadata"

#: The property with an empty object. If a collection is missing, a server makes one of its own
#: design from the first record, unless that is switched off. It cannot make this property: an
#: object whose parts are unknown is no type. So a write never makes a collection.
GUARD = "wagtail_guard"

#: The property with a number below PARTS. It spreads records evenly, so that a search can
#: request only a part of a collection.
PART = "part"
PARTS = 2**32

#: Longer texts are stored as their beginning and a hash, because index keys are bounded.
LONGEST_TEXT = 1_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)

_SCALARS: dict[FieldType, str] = {
    "str": "text",
    "int": "int",
    "float": "number",
    "bool": "boolean",
    "list[str]": "text[]",
    "list[int]": "int[]",
}


def property_of(field: str) -> str:
    """Return the name of a field's property; for a datetime it holds the seconds."""
    return f"f_{field}"


def micros_of(field: str) -> str:
    """Return the name of the property with a datetime's microseconds."""
    return f"f_{field}__us"  # no field has two underscores in its name


def part_of(id: bytes) -> int:
    """Return the part that a record belongs to."""
    return zlib.crc32(id)


def text_key(text: str) -> str:
    """Return the text that represents a text in an index; two texts never share one."""
    if len(text) > LONGEST_TEXT:
        text = text[:LONGEST_TEXT] + hashlib.sha256(text.encode()).hexdigest()
    return json.dumps(text, ensure_ascii=False)


def seconds_and_micros(moment: datetime) -> tuple[int, int]:
    """Return the whole seconds since 1970, and the microseconds beyond them."""
    seconds, rest = divmod(moment - _EPOCH, _SECOND)
    return seconds, rest.microseconds


def definitions(fields: Mapping[str, FieldType]) -> list[dict[str, Any]]:
    """Return the definitions of a collection's properties for its schema."""
    found = [
        {"name": METADATA, "dataType": ["text"], "indexFilterable": False},
        _number(PART, "int"),
        {
            "name": GUARD,
            "dataType": ["object"],
            "nestedProperties": [{"name": "empty", "dataType": ["int"]}],
            "indexFilterable": False,
        },
    ]
    for field, type_ in fields.items():
        name = property_of(field)
        if type_ == "datetime":
            found += [_number(name, "int"), _number(micros_of(field), "int")]
        elif type_ in ("int", "float"):
            found.append(_number(name, _SCALARS[type_]))
        else:
            found.append({"name": name, "dataType": [_SCALARS[type_]], "indexFilterable": True})
    for each in found:
        if each["dataType"][0].startswith("text"):
            each |= {"tokenization": "field", "indexSearchable": False}
    return found


def _number(name: str, type_: str) -> dict[str, Any]:
    return {"name": name, "dataType": [type_], "indexFilterable": True, "indexRangeFilters": True}


def fill(
    properties: batch_pb2.BatchObject.Properties,
    id: bytes,
    text: str,
    fields: Mapping[str, FieldType],
) -> None:
    """Write a record's metadata and the values of its fields into a message."""
    scalars = properties.non_ref_properties.fields
    scalars[METADATA].string_value = text
    scalars[PART].number_value = part_of(id)
    properties.object_properties.append(
        base_pb2.ObjectProperties(prop_name=GUARD, value=base_pb2.ObjectPropertiesValue())
    )
    if not fields:
        return
    metadata = json.loads(text)
    for field, type_ in fields.items():
        value = metadata.get(field)
        if value is None or value == []:
            continue
        name = property_of(field)
        if type_ == "str":
            scalars[name].string_value = text_key(value)
        elif type_ == "bool":
            scalars[name].bool_value = value
        elif type_ == "int":
            scalars[name].number_value = value
        elif type_ == "float":
            scalars[name].number_value = value + 0.0  # the index distinguishes -0.0 from 0.0
        elif type_ == "datetime":
            seconds, micros = seconds_and_micros(datetime.fromisoformat(value))
            scalars[name].number_value = seconds
            scalars[micros_of(field)].number_value = micros
        elif type_ == "list[str]":
            properties.text_array_properties.append(
                base_pb2.TextArrayProperties(prop_name=name, values=map(text_key, value))
            )
        else:
            properties.int_array_properties.append(
                base_pb2.IntArrayProperties(prop_name=name, values=value)
            )
