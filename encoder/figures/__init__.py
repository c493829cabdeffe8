"""Pictures: arrays and tokens in, a Plotly figure or a small image out. About one module a page."""

from importlib import import_module
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    """`figures.attention` after `from encoder import figures`; a page still loads only the pictures that it draws."""
    try:
        return import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":  # it is there, and needs something that is not
            raise
        raise AttributeError(f"There are no pictures called “{name}”.") from error
