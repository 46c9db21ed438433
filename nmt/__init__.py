"""nmt: recurrent machine translation.

`nmt.Translator` and `nmt.LanguageModel` are the front doors of the Python API; the rest is for the
command line and for those who read on.

Tensors end in their shape. The dimensions:

B  sentences of a batch          E  embedding size
S  source positions              H  hidden size
T  target positions              L  layers
K  beam size                     V  pieces of the vocabulary
N  rows = B * K                  G  gate rows of a cell (4H for an LSTM)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nmt.language_model import LanguageModel
    from nmt.search.settings import Sampling
    from nmt.translation.options import SearchOptions
    from nmt.translation.translator import Translator

__all__ = ["LanguageModel", "Sampling", "SearchOptions", "Translator", "__version__"]
__version__ = "0.1.0"

MODULES = {
    "LanguageModel": "nmt.language_model",
    "Sampling": "nmt.search.settings",
    "SearchOptions": "nmt.translation.options",
    "Translator": "nmt.translation.translator",
}


def __getattr__(name: str) -> Any:
    """Loads torch only for those who translate: `nmt --help` and argument errors answer at once."""
    if name in MODULES:
        return getattr(import_module(MODULES[name]), name)
    raise AttributeError(f"module 'nmt' has no attribute {name!r}")
