"""The sections of facts: what the runs are, the corpus at a glance, and everything that is
needed to repeat them."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nmt import __version__
from nmt.pages.charts import histogram
from nmt.pages.markup import Markup, details, escape, items, paragraph, section, table
from nmt.recipe import TABLES, dump_recipe
from nmt.report.corpus import Corpus
from nmt.report.curves import score_of
from nmt.report.records import RunRecord
from nmt.run_folder import RunFolder

PACKAGES = ("torch", "numpy", "sentencepiece", "sacrebleu", "safetensors", "datasets")
STATUS = {
    "training": "still training: this report shows the run as it stood",
    "finished": "finished",
    "stopped": "stopped before its last epoch; the same nmt train command continues it",
    "exported": "an exported model",
}


def overview(
    runs: Sequence[RunRecord], parameters: dict[str, int], recorded: str, notes: Sequence[str]
) -> str:
    """One column a run, the scores that training recorded, and whatever could not be shown."""
    facts = [_about(run, parameters.get(run.name)) for run in runs]
    rows = [[key, *(each[key] for each in facts)] for key in facts[0]]
    content = table(["", *(run.name for run in runs)], rows, numbers=False)
    differing = _differences(runs) if len(runs) > 1 else ""
    return section("overview", "Overview", differing, content, recorded, items(notes, "gap"))


def _about(run: RunRecord, parameters: int | None) -> dict[str, str]:
    data, model, best = run.recipe.data, run.recipe.model, run.best
    bleu = score_of(best, "BLEU") if best else None
    layers = (
        f"{model.cell}, {model.encoder_layers}+{model.decoder_layers} layers of"
        f" {model.hidden_size}, {model.attention} attention"
    )
    return {
        "state": Markup(f'<span class="status {run.status}">{escape(STATUS[run.status])}</span>'),
        "languages": f"{data.source} to {data.target}",
        "network": (
            layers if parameters is None else f"{layers}, {parameters / 1e6:.1f}M parameters"
        ),
        "trained": _progress(run),
        "best on dev": (
            "none yet"
            if best is None or bleu is None
            else f"BLEU {bleu:.1f} at update {best.get('update', 0):,}"
        ),
    }


def _progress(run: RunRecord) -> str:
    """How far training has come, and how long it took; an exported model knows no more than its
    best update."""
    epochs = run.recipe.training.epochs
    if run.status == "exported":
        known = (
            f"up to update {run.best['update']:,} of a run"
            if run.best and "update" in run.best
            else "in a run"
        )
        return f"{known} that is not here (the model stands alone)"
    minutes = run.minutes
    time = "" if minutes is None else f", {minutes:.0f} minutes of updates at the recorded speed"
    written = RunFolder(run.path).metrics_file
    last = (
        ""
        if not written.exists()
        else f", last on {datetime.fromtimestamp(written.stat().st_mtime, UTC):%Y-%m-%d %H:%M} UTC"
    )
    return (
        f"{last_update(run):,} updates, in epoch {min(run.state.get('epoch', 1), epochs)} of"
        f" {epochs}{time}{last}"
    )


def last_update(run: RunRecord) -> int:
    """The newest update that anything tells of."""
    rows = [*run.updates[-1:], *run.validations[-1:]]
    return max([int(run.state.get("update", 0)), *(int(row["update"]) for row in rows)])


def corpus_section(corpora: Sequence[tuple[str, Corpus]]) -> str:
    """Each corpus with the runs that were trained on it."""
    parts = []
    for name, corpus in corpora:
        counted = (
            ""
            if corpus.counted == corpus.pairs
            else f" (words counted in {corpus.counted:,} of them)"
        )
        rows = [
            [
                side.language,
                f"{side.vocabulary:,}",
                f"{side.pieces_per_word:.2f}",
                f"{side.words:,}",
                f"{side.unknown:.1%}",
                f"{side.bytes:.2%}",
            ]
            for side in corpus.sides
        ]
        header = [
            "language",
            "pieces known",
            "pieces per word",
            "different words",
            "unknown words in dev",
            "byte pieces in dev",
        ]
        lengths = histogram(
            "Length of the training lines",
            "pieces",
            [(side.language, side.lengths) for side in corpus.sides],
        )
        parts += [
            f"<h3>{escape(name)}</h3>\n",
            paragraph(f"{corpus.pairs:,} pairs{counted}. Cleaning: {'; '.join(corpus.summary)}."),
            table(header, rows),
            f'<div class="grid-of-charts">{lengths}</div>',
        ]
    return section("corpus", "Corpus", *parts) if parts else ""


def repeat_section(runs: Sequence[RunRecord]) -> str:
    """Recipes, what differs between them, hashes and versions."""
    parts = [
        paragraph(
            "Save a recipe as recipe.toml and train it again with: nmt train recipe.toml --run"
            " NEW-FOLDER"
        )
    ]
    for run in runs:
        facts: list[Sequence[object]] = [
            ["seed", run.recipe.training.seed],
            ["precision", run.state.get("precision", "not recorded")],
            ["fingerprint of data and subwords", run.corpus.get("fingerprint", "not recorded")],
            *([f"SHA-256 of {name}", value] for name, value in sorted(run.hashes.items())),
        ]
        recipe = f'<pre tabindex="0" aria-label="recipe">{escape(dump_recipe(run.recipe))}</pre>'
        parts.append(
            details(
                f"Recipe and hashes: {run.name}",
                table(["fact", "value"], facts, numbers=False) + recipe,
                len(runs) == 1,
            )
        )
    packages = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    parts.append(
        paragraph(
            f"This report was made on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {machine()} with"
            f" nmt {__version__}, Python {platform.python_version()}, {packages}.",
            "note",
        )
    )
    return section("repeat", "To repeat this", *parts)


def _differences(runs: Sequence[RunRecord]) -> str:
    flat = [
        {
            f"{name}.{key}": value
            for name in TABLES
            for key, value in asdict(getattr(run.recipe, name)).items()
        }
        for run in runs
    ]
    rows: list[list[Any]] = [
        [key, *(recipe[key] for recipe in flat)]
        for key in flat[0]
        if any(recipe[key] != flat[0][key] for recipe in flat)
    ]
    return table(
        ["setting", *(run.name for run in runs)],
        rows or [["none", *("" for _ in runs)]],
        "Settings that differ",
        numbers=False,
    )


def machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor, its cores and the system; numbers in fp32 hardly depend on it, times do."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = named[0] if named else platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
