"""From run folders to one HTML page. Whatever is not there (yet) is left out and noted; the rest
is shown."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from nmt.errors import NmtError
from nmt.pages.page import page
from nmt.report.close_up import CloseUp, close_up
from nmt.report.close_ups import choose_lines, close_up_section
from nmt.report.corpus import Corpus, look_at_corpus
from nmt.report.curves import training_section
from nmt.report.examples import examples_section
from nmt.report.facts import corpus_section, machine, overview, repeat_section
from nmt.report.records import RunRecord, read_runs
from nmt.report.scores import recorded_scores, robustness_section, score_section
from nmt.report.sentences import Output, Sentences, read_sentences, translate_sentences
from nmt.report.spreadsheets import Table, spreadsheets
from nmt.run_folder import RunFolder
from nmt.scoring.robustness import Outcome, measure_robustness
from nmt.translation.translator import Translator

Found = TypeVar("Found")


class Wishes(NamedTuple):
    """What a report is to show."""

    test: str | None = None  # corpus to translate; None: the first run's dev set
    sentences: int = 1000  # of its lines, at most
    robustness: int = 200  # lines of the robustness checks; 0: leave them out
    looked_at: tuple[str, ...] = ()  # further source sentences to look into the model with
    device: str = "auto"


class Report(NamedTuple):
    """A page, what is missing on it, and its numbers."""

    html: str
    notes: list[str]
    tables: dict[str, Table]


def build_report(
    paths: Sequence[Path], wishes: Wishes, progress: Callable[[str], None] = lambda text: None
) -> Report:
    """Raises: NmtError for a folder that is no run or is damaged, and for runs between different
    languages."""
    runs = read_runs(list(paths))
    for run in runs:
        if run.recipe.task != "translation":
            raise NmtError(
                f"{run.path}: reports are made of translation runs, this one's task is"
                f" {run.recipe.task}; its curves are in {RunFolder(run.path).metrics_file}"
            )
    languages = {(run.recipe.data.source, run.recipe.data.target) for run in runs}
    if len(languages) > 1:
        pairs = ", ".join(f"{source} to {target}" for source, target in sorted(languages))
        raise NmtError(
            f"runs between different languages cannot be compared, got {pairs}; make a report of"
            " each"
        )
    return _Builder(runs, wishes, progress).report()


def header_notes(machine: str, is_training: bool) -> list[str]:
    """What the header tells beside the date; `machine` may be empty."""
    place = [f"measured on {machine}"] if machine else []
    state = ["training goes on, run the command again for newer numbers"] if is_training else []
    return [*place, *state]


class _Builder:
    """Gathers the material; every gap is noted once."""

    def __init__(
        self, runs: list[RunRecord], wishes: Wishes, progress: Callable[[str], None]
    ) -> None:
        self.runs, self.wishes, self.progress = runs, wishes, progress
        self.notes: list[str] = []
        self.seen: list[CloseUp] = []

    def report(self) -> Report:
        runs, wishes = self.runs, self.wishes
        self.notes += [
            f"{run.name}: no metrics are recorded"
            for run in runs
            if not (run.updates or run.validations or run.card)
        ]
        sentences = self._try(
            "no examples", partial(read_sentences, runs[0], wishes.test, wishes.sentences)
        )
        translators = self._translators()
        outputs = self._outputs(translators, sentences) if sentences else []
        parameters = {name: translator.parameters() for name, translator in translators.items()}
        corpora = self._corpora(sentences) if sentences else []
        measured: list[str] = []
        if outputs and sentences:
            measured = self._measured(translators, outputs, sentences, corpora)
        sections = [
            overview(runs, parameters, recorded_scores(runs), self.notes), *measured[:1], training_section(runs), *measured[1:],  # noqa: E501
            corpus_section([(name, corpus) for name, corpus in corpora]), repeat_section(runs),
        ]  # fmt: skip
        title = f"nmt report: {', '.join(run.name for run in runs)}"
        tables = spreadsheets(runs, outputs, sentences, self.seen)
        header = header_notes(machine(), any(run.status == "training" for run in runs))
        return Report(page(title, sections, header), self.notes, tables)

    def _measured(
        self,
        translators: dict[str, Translator],
        outputs: list[Output],
        sentences: Sentences,
        corpora: list[tuple[str, Corpus]],
    ) -> list[str]:
        """Scores, examples, close-ups and robustness."""
        rarity = corpora[0][1].rarity if corpora else ()
        chosen = [sentences.sources[line] for line in choose_lines(outputs, sentences)]
        self.progress("looking into the model")
        views = [self._views(translators, source) for source in (*self.wishes.looked_at, *chosen)]
        self.seen = [view for group in views for view in group]
        return [
            score_section(outputs, sentences, rarity),
            examples_section(outputs, sentences),
            close_up_section(views),
            robustness_section(self._robustness(translators, sentences)),
        ]

    def _translators(self) -> dict[str, Translator]:
        found = {}
        for run in self.runs:
            load = partial(Translator.load, run.path, self.wishes.device, "fp32")
            last = RunFolder(run.path).last
            if (last and last.exists()) or (run.path / "model.json").exists():
                translator: Translator | None = (
                    load()
                )  # it has a model: one that cannot be read is an error, not a gap
            else:
                translator = self._try(f"{run.name} cannot translate", load)
            if translator:
                found[run.name] = translator
        return found

    def _outputs(self, translators: dict[str, Translator], sentences: Sentences) -> list[Output]:
        outputs = []
        for name, translator in translators.items():
            self.progress(
                f"{name}: translating {len(sentences.sources):,} lines of {sentences.name}"
            )
            output = self._try(
                f"{name} cannot translate",
                partial(translate_sentences, name, translator, sentences),
            )
            outputs += [output] if output else []
        return outputs

    def _views(self, translators: dict[str, Translator], source: str) -> list[CloseUp]:
        views = (close_up(name, translator, source) for name, translator in translators.items())
        return [view for view in views if view]

    def _corpora(self, sentences: Sentences) -> list[tuple[str, Corpus]]:
        """Runs on the same data share an entry."""
        groups: dict[str, list[RunRecord]] = {}
        for run in self.runs:
            groups.setdefault(str(run.corpus.get("fingerprint") or run.path), []).append(run)
        found = []
        for runs in groups.values():
            data = runs[0].recipe.data
            look = partial(look_at_corpus, runs[0].path, (data.source, data.target), sentences)
            corpus = self._try(f"{runs[0].name}: no corpus", look)
            if corpus:
                found.append(
                    (f"{', '.join(data.train)} ({', '.join(run.name for run in runs)})", corpus)
                )
        return found

    def _robustness(
        self, translators: dict[str, Translator], sentences: Sentences
    ) -> list[tuple[str, list[Outcome]]]:
        lines = self.wishes.robustness
        if not lines:
            return []
        measured = []
        for name, translator in translators.items():
            self.progress(f"{name}: robustness on {min(lines, len(sentences.sources)):,} lines")
            sources, references = sentences.sources[:lines], sentences.references[:lines]
            measured.append(
                (
                    name,
                    measure_robustness(
                        translator.translate, sources, references, tokeniser=sentences.tokeniser
                    ),
                )
            )
        return measured

    def _try(self, what: str, make: Callable[[], Found]) -> Found | None:
        """None and a note for whatever a user's files can do wrong."""
        try:
            return make()
        except (NmtError, OSError) as error:
            self.notes.append(f"{what}: {error}")
            return None
