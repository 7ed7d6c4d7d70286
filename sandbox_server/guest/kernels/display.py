"""From Python objects to E2B's result events: formatters beyond IPython's own, and the mapping of MIME types.

Source of the mapping and of the extra formats: the result model and startup scripts of E2B's code-interpreter
template.
"""

from __future__ import annotations

import base64
import json
import math
import sys
import warnings
from typing import Any

from IPython.core.display_functions import display
from IPython.core.formatters import BaseFormatter, DisplayFormatter, JSONFormatter
from traitlets import ObjectName, Unicode

from . import Event

MAX_RESULT_BYTES = 32 * 1024 * 1024
"""Bound of one result, all its representations together."""
MAX_TABLE_CELLS = 250_000
"""A larger DataFrame has no `data`: what ends a cell with the name of a large table wants to see its head."""

_FIELDS = {
    "text/plain": "text",
    "text/html": "html",
    "text/markdown": "markdown",
    "image/svg+xml": "svg",
    "image/png": "png",
    "image/jpeg": "jpeg",
    "application/pdf": "pdf",
    "text/latex": "latex",
    "application/json": "json",
    "application/javascript": "javascript",
    "e2b/data": "data",
    "e2b/chart": "chart",
}


def result(bundle: dict[str, Any], *, main: bool) -> Event:
    """Return the result event of a MIME bundle; what is not a known type goes into `extra`."""
    event: Event = {"type": "result", "is_main_result": main}
    extra: dict[str, Any] = {}
    left_out = []
    room = MAX_RESULT_BYTES
    for mime, value in sorted(((mime, _plain(value)) for mime, value in bundle.items()), key=_size):
        room -= (size := _size((mime, value)))
        if room < 0:
            left_out.append(f"{mime} ({size:,} bytes)")
        elif mime in _FIELDS:
            event[_FIELDS[mime]] = value
        else:
            extra[mime] = value
    if isinstance(text := event.get("text"), str):
        event["text"] = _unquoted(text)
    if left_out:
        note = f"[left out: {', '.join(left_out)}; a result may have {MAX_RESULT_BYTES:,} bytes, so write it to a file]"
        event["text"] = f"{event['text']}\n{note}" if event.get("text") else note
    event["extra"] = extra
    return event


def _size(item: tuple[str, Any]) -> int:
    value = item[1]
    return len(value) if isinstance(value, str) else len(json.dumps(value))


def _unquoted(text: str) -> str:
    """E2B shows a string without the quotes of its repr."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text


def _plain(value: Any) -> Any:
    """Return what JSON can carry: bytes as base64 text, NaN and infinities as None, unknown objects as text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return _simplified(value, depth=0)
    return value


def _simplified(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if type(value).__name__ in ("NaTType", "NAType"):
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth < 64:
        if isinstance(value, dict):
            return {str(key): _simplified(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [_simplified(item, depth + 1) for item in value]
        for convert in ("tolist", "isoformat"):  # numpy's scalars and arrays; dates, times and pandas' own
            method = getattr(value, convert, None)
            if callable(method):
                converted = method()
                return converted if convert == "isoformat" else _simplified(converted, depth + 1)
    return str(value)


class _DataFormatter(BaseFormatter):  # type: ignore[misc]
    """The columns of a pandas DataFrame, as lists."""

    format_type = Unicode("e2b/data")
    print_method = ObjectName("_repr_e2b_data_")
    _return_type = dict

    def __call__(self, obj: Any) -> Any:
        pandas = sys.modules.get("pandas")
        frame = getattr(pandas, "DataFrame", None)
        if frame is None or not isinstance(obj, frame):
            return super().__call__(obj)
        if obj.size > MAX_TABLE_CELLS:
            return None
        # Dates and missing values get their JSON form in `_plain`.
        return {str(name): column for name, column in obj.to_dict(orient="list").items()}


class _ChartFormatter(BaseFormatter):  # type: ignore[misc]
    """What a matplotlib figure shows, as E2B's chart types."""

    format_type = Unicode("e2b/chart")
    print_method = ObjectName("_repr_e2b_chart_")
    _return_type = dict

    def __call__(self, obj: Any) -> Any:
        figure = getattr(sys.modules.get("matplotlib.figure"), "Figure", None)
        if figure is None or not isinstance(obj, figure):
            return super().__call__(obj)
        from e2b_charts import chart_figure_to_dict

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pydantic's about numpy's numbers.
            try:
                return chart_figure_to_dict(obj) or None
            except Exception:  # A figure that e2b_charts cannot read still has its picture.
                return None


class _JSONFormatter(JSONFormatter):  # type: ignore[misc]
    """Lists and dictionaries have a JSON form besides the objects that say so themselves."""

    def __call__(self, obj: Any) -> Any:
        if type(obj) not in (list, dict):
            return super().__call__(obj)
        try:
            data = json.dumps(obj, allow_nan=False, default=_number)
        except (TypeError, ValueError, RecursionError):
            return None
        return json.loads(data)


def _number(value: Any) -> Any:
    """Return numpy's numbers and arrays as Python's."""
    convert = getattr(value, "tolist", None)
    if not callable(convert):
        raise TypeError(f"{type(value).__name__} has no JSON form")
    return convert()


def install(formatter: DisplayFormatter) -> None:
    """Add E2B's formats to a shell's formatter."""
    for kind in (_DataFormatter, _ChartFormatter, _JSONFormatter):
        added = kind(parent=formatter)
        formatter.formatters[added.format_type] = added
    formatter.active_types = [*formatter.active_types, "e2b/data", "e2b/chart"]


def show_images() -> None:
    """Let Pillow's `show` display the image, and `save` to a named file display it as well, as in E2B."""
    from PIL.Image import Image

    save = Image.save

    def show(image: Image, title: str | None = None) -> None:
        display(image)

    def save_and_show(image: Image, fp: Any, format: str | None = None, **options: Any) -> None:
        save(image, fp, format, **options)
        if isinstance(fp, str):
            display(image)

    Image.show = show
    Image.save = save_and_show
