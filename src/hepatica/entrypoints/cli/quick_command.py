"""Commands that answer at once: plain values are read without loading a validation library.

The option parser checks every value through that library, whose loading takes longer than the answer of these
commands. Text and numbers need no more than Python itself; anything else is left to the parser as it is. With a
version of the parser that works otherwise nothing is changed.
"""

from __future__ import annotations

from typing import Any, Final

from typer import BadParameter
from typer.core import TyperCommand, TyperGroup

PLAIN: Final = {str: "text", int: "integer", float: "number"}


class _Quick:
    """Reads plain options without the library, ``--help`` among them."""

    def get_params(self, ctx: Any) -> Any:
        """Return the options, each with a reader of its own."""
        parameters = super().get_params(ctx)  # type: ignore[misc]
        for parameter in parameters:
            if getattr(parameter, "_runtime_param", True) is None and hasattr(parameter, "type_descriptor"):
                parameter._runtime_param = _QuickValue(parameter)
        return parameters


class QuickCommand(_Quick, TyperCommand):
    """A command whose text and number options are read by Python itself."""


class QuickGroup(_Quick, TyperGroup):
    """A group of commands that is opened by Python itself."""


class _QuickValue:
    """Reads one option."""

    def __init__(self, parameter: Any) -> None:
        self._kind = parameter.type_descriptor.annotation
        info = parameter.type_descriptor.parameter_info
        self._least, self._most = getattr(info, "min", None), getattr(info, "max", None)

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value as its type, or leave it to the parser."""
        single = param.nargs == 1 and not param.multiple
        if single and (value is None or (self._kind is bool and isinstance(value, bool))):
            return value
        if not single or self._kind not in PLAIN:
            param._runtime_param = None
            return param.get_runtime_param().coerce(value, param=param, ctx=ctx)
        try:
            found = self._kind(value)
        except ValueError:
            raise BadParameter(
                f"{value!r} is not a valid {PLAIN[self._kind]}.", ctx=ctx, param=param
            ) from None
        if (self._least is not None and found < self._least) or (
            self._most is not None and found > self._most
        ):
            limits = [f"at least {self._least}"] * (self._least is not None)
            limits += [f"at most {self._most}"] * (self._most is not None)
            raise BadParameter(f"{found} is not {' and '.join(limits)}.", ctx=ctx, param=param)
        return found
