"""Expression signatures: from a change to the drugs that make it, and from a drug to its change.

What a user needs without the notebook is here, and is only loaded when it is asked for: reading
of profiles imports this package too, and needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from screenbook.expression.model import (
        ExpressionModel,
        load_model,
        predict,
        rank_drugs,
        save_model,
    )

__all__ = ["ExpressionModel", "load_model", "predict", "rank_drugs", "save_model"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("screenbook.expression.model"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
