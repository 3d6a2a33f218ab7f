"""What the generated models have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

# Answers of a newer server: a word that isn't known yet, or a longer text than there was.
_NEWER = {
    "enum",
    "greater_than",
    "greater_than_equal",
    "less_than",
    "less_than_equal",
    "literal_error",
    "string_pattern_mismatch",
    "string_too_long",
    "string_too_short",
    "too_long",
    "too_short",
}


class Model(BaseModel):
    """Takes what a newer server says as well: members and words that aren't known yet stay."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    @field_validator("*", mode="wrap")
    @classmethod
    def _take_newer(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            if all(one["type"] in _NEWER for one in error.errors()):
                return value
            raise
