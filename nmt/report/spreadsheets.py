"""All numbers of a report as CSV, whole: the page thins long curves, cuts long tables and leaves
out trees that are too big to draw."""

import csv
import io
from collections.abc import Iterable, Sequence

from nmt.report.close_up import CloseUp
from nmt.report.curves import number, score_of
from nmt.report.records import RunRecord
from nmt.report.sentences import Output, Sentences, words_with_probability

Table = list[list[object]]  # the first row names the columns


def spreadsheets(
    runs: Sequence[RunRecord],
    outputs: Sequence[Output],
    sentences: Sentences | None,
    views: Iterable[CloseUp],
) -> dict[str, Table]:
    """The tables by their names; those without a row are left out."""
    seen = list(views)
    made: dict[str, Table] = {
        "updates": _updates(runs),
        "layers": _layers(runs),
        "validations": _validations(runs),
        "sentences": _sentences(outputs, sentences) if sentences else [],
        "words": _words(outputs),
        "attention": _attention(seen),
        "tree": _tree(seen),
        "hypotheses": _hypotheses(seen),
    }
    return {name: rows for name, rows in made.items() if len(rows) > 1}


def csv_text(table: Table) -> str:
    """The table as CSV (RFC 4180, but for plain line feeds); a value that is not known is empty."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(table)
    return stream.getvalue()


def _updates(runs: Sequence[RunRecord]) -> Table:
    keys = list(
        dict.fromkeys(
            key
            for run in runs
            for row in run.updates
            for key in row
            if number(row[key]) is not None
        )
    )
    rows: Table = [["run", *keys]]
    for run in runs:
        rows += [[run.name, *(row.get(key) for key in keys)] for row in run.updates]
    return rows


def _layers(runs: Sequence[RunRecord]) -> Table:
    rows: Table = [["run", "update", "layer", "gradient_norm"]]
    for run in runs:
        for row in run.updates:
            norms = row.get("layer_norms")
            rows += [
                [run.name, row["update"], name, number(norm)]
                for name, norm in (norms if isinstance(norms, dict) else {}).items()
            ]
    return rows


def _validations(runs: Sequence[RunRecord]) -> Table:
    header: list[object] = ["run", "update", "cross_entropy", "BLEU", "chrF2", "best"]
    return [header] + [
        [
            run.name,
            row["update"],
            number(row.get("cross_entropy")),
            score_of(row, "BLEU"),
            score_of(row, "chrF2"),
            bool(row.get("best")),
        ]
        for run in runs
        for row in run.validations
    ]


def _sentences(outputs: Sequence[Output], sentences: Sentences) -> Table:
    rows: Table = [
        [
            "line",
            "source",
            "reference",
            *(f"{kind} {output.name}" for output in outputs for kind in ("chrF2", "translation")),
        ]
    ]
    for line, (source, reference) in enumerate(
        zip(sentences.sources, sentences.references, strict=True)
    ):
        made = [
            value
            for output in outputs
            for value in (round(output.chrf[line], 2), output.texts[line])
        ]
        rows.append([line + 1, source, reference, *made])
    return rows


def _words(outputs: Sequence[Output]) -> Table:
    rows: Table = [["run", "line", "word", "text", "probability"]]
    for output in outputs:
        for line, translation in enumerate(output.translations, start=1):
            words = words_with_probability(translation)
            rows += [
                [output.name, line, place, word.text, word.probability]
                for place, word in enumerate(words, start=1)
            ]
    return rows


def _attention(views: Sequence[CloseUp]) -> Table:
    rows: Table = [
        [
            "run",
            "source",
            "target_place",
            "target_piece",
            "log_prob",
            "source_place",
            "source_piece",
            "weight",
        ]
    ]
    for view in views:
        for row, (piece, log_prob) in enumerate(
            zip(view.target_pieces, view.log_probs, strict=True)
        ):
            cells = enumerate(zip(view.source_pieces, view.weights[row], strict=True), start=1)
            rows += [
                [view.run, view.source, row + 1, piece, log_prob, column, source, weight]
                for column, (source, weight) in cells
            ]
    return rows


def _tree(views: Sequence[CloseUp]) -> Table:
    rows: Table = [
        ["run", "source", "node", "parent", "piece", "log_prob", "score", "on_best_path"]
    ]
    for view in views:
        nodes = enumerate(view.nodes)
        rows += [
            [
                view.run,
                view.source,
                place,
                each.parent,
                each.piece,
                each.log_prob,
                each.score,
                each.best,
            ]
            for place, each in nodes
        ]
    return rows


def _hypotheses(views: Sequence[CloseUp]) -> Table:
    rows: Table = [["run", "source", "hypothesis", "log_prob", "score"]]
    for view in views:
        rows += [[view.run, view.source, *hypothesis] for hypothesis in view.hypotheses]
    return rows
