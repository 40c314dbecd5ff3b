"""How answers are written: strict JSON in UTF-8, where what is not finite is null. Knows no route."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response


def dumps(value: Any) -> bytes:
    """Write `value` as strict JSON; NaN and the infinities become null."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


class JSONAnswer(Response):
    """A JSON answer."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Write the body."""
        return dumps(content)


class ProblemAnswer(Response):
    """A problem document that is bytes already, since its size is bounded where it is made."""

    media_type = "application/problem+json"
