"""What a language model is judged by, with what it is computed over."""

import math

from nmt.scoring.bleu import Score

LARGEST = 10**6  # that a perplexity may be on record: a new network has one of its vocabulary


def text_scores(nats: float, pieces: int, characters: int) -> list[Score]:
    """Perplexity a piece, exp(nats / pieces), and bits per character, nats / ln 2 / characters."""
    perplexity = math.exp(min(700.0, nats / pieces))
    found = [
        Score("perplexity", perplexity, f"per piece, {pieces:,} with ends of line"),
        Score(
            "bits per character",
            nats / math.log(2) / characters,
            f"of {characters:,} characters with ends of line",
        ),
    ]
    return [score for score in found if score.value < LARGEST]
