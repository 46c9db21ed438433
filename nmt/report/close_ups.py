"""The section that looks into the model: attention and prediction trees of single sentences."""

from collections.abc import Sequence

from nmt.pages.heatmap import AttentionView, heat_map
from nmt.pages.markup import details, escape, paragraph, section
from nmt.pages.tree import prediction_tree
from nmt.report.close_up import CloseUp
from nmt.report.sentences import Output, Sentences

SHORTEST, LONGEST = 3, 14  # words of a sentence that shows something and can still be seen whole


def choose_lines(outputs: Sequence[Output], sentences: Sentences, count: int = 4) -> list[int]:
    """Sentences of readable length, evenly spread from the worst translated to the best."""
    readable = [
        line
        for line, source in enumerate(sentences.sources)
        if SHORTEST <= len(source.split()) <= LONGEST
    ]
    ranked = sorted(readable, key=lambda line: sum(output.chrf[line] for output in outputs))
    places = (
        {round(place * (len(ranked) - 1) / max(1, count - 1)) for place in range(count)}
        if ranked
        else set[int]()
    )
    return [ranked[place] for place in sorted(places)]


def close_up_section(groups: Sequence[Sequence[CloseUp]]) -> str:
    """Each group holds the runs' views of one sentence."""
    if not any(groups):
        return ""
    parts = []
    for place, views in enumerate(group for group in groups if group):
        panels = "".join(_panel(view) for view in views)
        parts.append(
            details(views[0].source, f'<div class="panels">{panels}</div>', is_open=place == 0)
        )
    return section("inside", "Inside the model", paragraph(INTRODUCTION), *parts)


def _panel(view: CloseUp) -> str:
    heat = heat_map(
        AttentionView(
            view.run, view.source_pieces, view.target_pieces, view.weights, view.log_probs
        )
    )
    tree = prediction_tree(view.run, view.nodes, view.hypotheses, "nmt report --csv lists them")
    title = f"{view.run}: {view.hypotheses[0][0] or '(empty)'}"
    return (
        f'<div class="panel"><h4>{escape(title)}</h4><h5>Attention</h5>{heat}'
        f"<h5>Prediction tree</h5>{tree}</div>\n"
    )


INTRODUCTION = (
    "For each target piece, how much of its attention each source piece got, in percent; and all"
    " prefixes that the beam kept, the translation's own in full colour, with how likely each piece"
    " is after its prefix, in percent. Point at a cell or a piece, or focus the picture and use the"
    " arrow keys, for more. ▁ is a space, </s> the end of the sentence."
)
