"""Values of a recipe: from TOML or the command line to the type of their field, and back."""

import json
import math
from collections.abc import Mapping
from dataclasses import Field
from typing import Any

from nmt.errors import NmtError
from nmt.files import parse_toml
from nmt.limits import shown

TYPE_NAMES: Mapping[object, str] = {
    int: "a whole number",
    float: "a number",
    str: "a string",
    bool: "true or false",
    tuple[str, ...]: "a list of strings",
}


def setting_value(item: "Field[Any]", text: str) -> object:
    """What the user typed after `=`: as it stands where text is wanted, TOML otherwise."""
    if item.type is str or (item.type == tuple[str, ...] and not text.startswith("[")):
        return text
    try:
        values = parse_toml(f"value = {text}")
    except ValueError:
        return text
    return values["value"] if len(values) == 1 else text


def typed(key: str, item: "Field[Any]", value: object) -> object:
    """The value in the field's own type; a whole number is a number, one string is a list of
    one."""
    if item.type is float and type(value) is int:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if item.type == tuple[str, ...]:
        texts = [value] if isinstance(value, str) else value
        if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
            return tuple(texts)
    elif type(value) is item.type:
        return value
    raise NmtError(f"{key} must be {TYPE_NAMES[item.type]}, got {shown(value)}")


def toml_value(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, tuple):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    # A JSON string is a TOML string, but for U+007F, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
