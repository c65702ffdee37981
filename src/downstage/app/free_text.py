"""People named in free text, found with Presidio: an extra, for `discover` alone, and never for masking.

Presidio is far too slow for a table and guesses; here it looks at a bounded number of texts and only says "look there".
It never fetches a language model by itself: one must be installed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from downstage.errors import UsageError
from downstage.masking.observation import Shapes
from downstage.masking.personal import IN_TEXT, PERSON

MODELS = ("en_core_web_lg", "en_core_web_md", "en_core_web_sm")
TEXTS = 2000
_SHORTEST, _LONGEST = 20, 2000
_CERTAIN = 0.6


def with_people(shapes_of: Shapes, names_people: Callable[[str], bool] | None = None, texts: int = TEXTS) -> Shapes:
    """`shapes_of`, and `person-in-text` for running texts that name people, as long as `texts` lasts.

    `names_people` defaults to Presidio. Raises UsageError if it, or a language model, is not installed.
    """
    ask = names_people or _presidio()
    left = [texts]

    def shapes(text: str) -> Sequence[str]:
        found = shapes_of(text)
        if left[0] and len(text) >= _SHORTEST and text.count(" ") >= 2 and PERSON not in found:
            left[0] -= 1
            if ask(text[:_LONGEST]):
                return (*found, PERSON + IN_TEXT)
        return found

    return shapes


def _presidio() -> Callable[[str], bool]:
    if importlib.util.find_spec("presidio_analyzer") is None:
        raise UsageError("--presidio needs an extra: pip install 'downstage[pii]'")
    model = next((name for name in MODELS if importlib.util.find_spec(name) is not None), None)
    if model is None:
        raise UsageError(f"--presidio needs a language model: python -m spacy download {MODELS[-1]}")
    analyzer: Any = import_module("presidio_analyzer")
    engines: Any = import_module("presidio_analyzer.nlp_engine")
    provider = engines.NlpEngineProvider(
        nlp_configuration={"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": model}]}
    )
    engine = analyzer.AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])
    return lambda text: bool(engine.analyze(text=text, language="en", entities=["PERSON"], score_threshold=_CERTAIN))
