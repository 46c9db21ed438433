"""Whole reports, and what a browser makes of them."""

import fcntl
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import write_corpus

from nmt.commands.main import main
from nmt.errors import NmtError
from nmt.pages.markup import escape
from nmt.recipe import DataConfig, ModelConfig, Recipe, SearchConfig, SubwordsConfig, TrainingConfig
from nmt.report.all_sentences import all_sentences
from nmt.report.build import Wishes, build_report
from nmt.report.facts import machine
from nmt.report.records import read_run
from nmt.report.sentences import Output, Sentences
from nmt.training.run import train
from nmt.translation.result import Translation

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
VOID = {
    "meta",
    "link",
    "input",
    "br",
    "line",
    "rect",
    "circle",
    "path",
}  # the last four end themselves
SECTIONS = [
    "overview",
    "scores",
    "training",
    "examples",
    "inside",
    "robustness",
    "corpus",
    "repeat",
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two short runs on the same made-up text, whose words could break the page."""
    folder = tmp_path_factory.mktemp("report")
    data = DataConfig(
        train=(write_corpus(folder / "train", 120),),
        dev=write_corpus(folder / "dev", 12, seed=2),
        source="nl",
        target="en",
    )
    for name in ("train.nl", "dev.nl"):
        path = folder / name
        path.write_text(path.read_text().replace("noot", "</script><b>&'\""))
    made = []
    for cell in ("lstm", "gru"):
        recipe = Recipe(
            data=data,
            subwords=SubwordsConfig(variety=0.0, vocab_size=330),
            model=ModelConfig(
                cell=cell, embedding_size=16, hidden_size=16, encoder_layers=1, decoder_layers=2
            ),
            training=TrainingConfig(
                epochs=2,
                batch_pieces=200,
                warmup=5,
                report_every=3,
                precision="fp32",
                keep=2,
                device="cpu",
            ),
            search=SearchConfig(beam=3, max_length_factor=1.0, max_length_extra=4),
        )
        made.append(folder / cell)
        list(train(recipe, made[-1]))
    return made


@pytest.fixture(scope="module")
def html(runs: list[Path]) -> str:
    report = build_report(runs, Wishes(robustness=8, looked_at=("aap mies",), device="cpu"))
    assert report.notes == []
    return report.html


class Page(HTMLParser):
    """Checks that tags match; collects what is asked about in the tests."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.tags, self.scripts = (
            list[str](),
            list[tuple[str, dict[str, str | None]]](),
            0,
        )
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def test_a_page_is_well_formed_and_needs_nothing_from_outside(html: str) -> None:
    page = Page(html)
    assert len(html.encode()) < 2_000_000
    assert [tag for tag, _ in page.tags].count("script") == 1
    links = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href") and value
    ]
    assert all(value.startswith(("#", "data:")) for value in links)
    assert "@import" not in html
    assert "url(" not in html


def test_a_page_has_all_sections_and_names_each_picture(html: str) -> None:
    page = Page(html)
    assert [attributes["id"] for tag, attributes in page.tags if tag == "section"] == SECTIONS
    pictures = [
        attributes
        for tag, attributes in page.tags
        if tag == "svg" and attributes.get("aria-hidden") != "true"
    ]
    assert len(pictures) > 15
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in pictures)
    identities = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identities) == len(set(identities))


def test_a_page_shows_scores_with_signatures_and_significance(html: str) -> None:
    for text in (
        "nrefs:1|bs:1000|seed:12345|case:mixed|eff:no|tok:13a",
        "paired bootstrap, 1,000 resamples",
        "<small>p = ",
        "model.cell",
    ):
        assert text in html


def test_one_run_is_reported_where_it_lies(
    runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["report", str(runs[0]), "--sentences", "5", "--robustness", "0", "--device", "cpu"])
        == 0
    )
    assert f"the report is {runs[0] / 'report.html'} (0." in capsys.readouterr().err
    text = (runs[0] / "report.html").read_text()
    assert "the first 5 of 12 lines" in text
    assert 'id="robustness"' not in text
    assert "finished" in text


def copied(run: Path, folder: Path) -> Path:
    return Path(shutil.copytree(run, folder / "copy", symlinks=True))


def test_a_run_that_has_just_begun_is_shown_with_its_gaps(runs: list[Path], tmp_path: Path) -> None:
    run = copied(runs[0], tmp_path)
    shutil.rmtree(run / "checkpoints")
    (run / "metrics.jsonl").write_text('{"kind": "update", "update": 3}\n{"kind": "upda')
    with open(run / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        report = build_report([run, runs[1]], Wishes(robustness=0, device="cpu"))
    Page(report.html)
    assert [note.partition(":")[0] for note in report.notes] == ["copy cannot translate"]
    assert "the run has no checkpoint yet" in report.html
    assert "still training" in report.html
    assert "training goes on" in report.html
    assert 'id="examples"' in report.html


def test_a_run_that_has_lost_its_data_is_shown_with_its_gaps(
    runs: list[Path], tmp_path: Path
) -> None:
    run = copied(runs[0], tmp_path)
    shutil.rmtree(run / "data")
    (run / "metrics.jsonl").unlink()
    report = build_report([run], Wishes(test=str(tmp_path / "none"), device="cpu"))
    Page(report.html)
    assert report.notes[0] == "copy: no metrics are recorded"
    assert report.notes[1].startswith("no examples: ")
    assert "No metrics are recorded here" in report.html


def test_an_exported_model_is_shown_without_its_training(runs: list[Path], tmp_path: Path) -> None:
    assert main(["export", str(runs[0]), str(tmp_path / "model"), "--paths"]) == 0
    report = build_report(
        [tmp_path / "model"], Wishes(robustness=0, looked_at=("aap mies",), device="cpu")
    )
    assert "an exported model" in report.html
    assert "0 updates" not in report.html
    recorded = read_run(runs[0]).best
    assert recorded
    assert (
        f"BLEU {recorded['scores'][0]['value']:.1f} at update {recorded['update']:,}" in report.html
    )
    assert f"up to update {recorded['update']:,} of a run that is not here" in report.html
    assert [note for note in report.notes if "training data are not beside the model" in note]
    assert 'id="inside"' in report.html


def test_a_report_leaves_an_exported_model_as_it_is_and_writes_its_numbers_where_asked(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(runs[0]), str(tmp_path / "model"), "--paths"]) == 0
    before = sorted(path.name for path in (tmp_path / "model").iterdir())
    options = [
        "--sentences",
        "4",
        "--robustness",
        "0",
        "--device",
        "cpu",
        "--csv",
        str(tmp_path / "new" / "csv"),
    ]
    assert main(["report", str(tmp_path / "model"), *options]) == 0
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == before
    assert (tmp_path / "model-report.html").exists()
    assert {"sentences.csv", "tree.csv", "attention.csv"} <= {
        path.name for path in (tmp_path / "new" / "csv").iterdir()
    }
    assert len((tmp_path / "new" / "csv" / "sentences.csv").read_text().splitlines()) == 1 + 4


def test_the_head_of_a_page_names_time_and_machine(html: str) -> None:
    assert re.search(
        rf"<p>\d{{4}}-\d\d-\d\d \d\d:\d\d UTC · measured on {re.escape(escape(machine()))}", html
    )


def test_settings_that_differ_stand_first(html: str) -> None:
    overview = html[html.index('<section id="overview"') :]
    assert (
        overview.index("model.cell")
        < overview.index("languages")
        < overview.index("Scores of the best checkpoint on the whole dev set")
    )


def test_too_much_text_is_cut_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.report.all_sentences.LETTERS", 30)
    sentences = Sentences("dev", 2, ["a" * 10, "b" * 10], ["c" * 10, "d" * 10])
    output = Output("run", [Translation("e" * 10, -1.0, -1.0, ())] * 2, [1.0, 2.0])
    assert "The first 1 sentences" in all_sentences([output], sentences)


def test_what_cannot_be_reported_is_one_line(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied(runs[0], tmp_path)
    (run / "metrics.jsonl").write_text("nonsense\n")
    for folder, message in (
        (run, "metrics.jsonl:1: damaged"),
        (tmp_path, "no run of nmt train"),
        (tmp_path / "none", "no such run folder"),
    ):
        assert main(["report", str(folder)]) == 1
        captured = capsys.readouterr()
        assert message in captured.err
        assert captured.err.count("\n") == 1
    with pytest.raises(SystemExit):
        main(["report", str(run), str(run)])
    assert "a run is given twice" in capsys.readouterr().err


def test_runs_between_different_languages_are_refused(runs: list[Path], tmp_path: Path) -> None:
    run = copied(runs[0], tmp_path)
    recipe = (run / "recipe.toml").read_text()
    (run / "recipe.toml").write_text(recipe.replace('source = "nl"', 'source = "de"'))
    with pytest.raises(
        NmtError, match="different languages cannot be compared, got de to en, nl to en"
    ):
        build_report([runs[0], run], Wishes())


PROBE = """<script>
for (const kind of ["chart", "heat", "tree"]) {
  const svg = document.querySelector(`[data-${kind}]`);
  svg.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
  svg.dispatchEvent(new PointerEvent("pointermove", {clientX: 200, clientY: 200}));
  svg.querySelector(".node")?.dispatchEvent(new PointerEvent("pointerenter"));
  document.body.dataset[kind] = svg.closest("figure, .panel-part").querySelector(".readout").textContent;
}
const hints = [...document.querySelectorAll("#scores .more")];
document.body.dataset.wide = hints.filter((each) => getComputedStyle(each).display === "block").length;
document.querySelector("[data-toggle]").click();
const table = document.querySelector("table.sentences");
const order = document.querySelector("[data-order]");
order.value = "worst";
order.dispatchEvent(new Event("change"));
document.body.dataset.sorted = [...table.tBodies[0].rows].every((row, n, rows) => !n || +rows[n - 1].dataset.mean <= +row.dataset.mean);
const search = document.querySelector("[data-search]");
search.value = table.tBodies[0].rows[3].cells[3].textContent.toUpperCase();
search.dispatchEvent(new Event("input"));
document.body.dataset.found = [...table.tBodies[0].rows].filter((row) => !row.hidden).length;
dispatchEvent(new Event("beforeprint"));
document.body.dataset.closed = document.querySelectorAll("section > details:not([open])").length;
dispatchEvent(new Event("afterprint"));
document.body.dataset.overflow = document.documentElement.scrollWidth - innerWidth;
</script></body>"""  # noqa: E501


@in_browser
@pytest.mark.parametrize("width", [1200, 390])
def test_a_browser_draws_the_page_without_a_complaint(
    html: str, width: int, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    page.write_text(html.replace("</body>", PROBE), encoding="utf-8")
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage",  # noqa: E501
        "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900",  # noqa: E501
        "--virtual-time-budget=3000", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    drawn = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert [line for line in drawn.stderr.splitlines() if "CONSOLE" in line] == []
    body = dict(re.findall(r'([a-z-]+)="([^"]*)"', re.search(r"<body[^>]*>", drawn.stdout)[0]))
    assert body["data-chart"].startswith("update ")
    assert " reads " in body["data-heat"]
    assert " · log-probability -" in body["data-tree"]
    assert body["class"] == "show-confidence"
    assert body["data-sorted"] == "true"
    assert 1 <= int(body["data-found"]) < 12
    assert body["data-closed"] == "1"  # the table of all sentences stays folded on paper
    assert int(body["data-overflow"]) <= 0
    assert (int(body["data-wide"]) > 0) == (width < 400)  # wide tables say that they scroll


def test_the_metrics_of_a_run_are_those_that_the_report_reads(runs: list[Path]) -> None:
    rows = [json.loads(line) for line in (runs[0] / "metrics.jsonl").read_text().splitlines()]
    keys = {
        "learning_rate",
        "cross_entropy",
        "gradient_norm",
        "gradient_norm_max",
        "clipped_share",
        "layer_norms",
        "pieces_per_second",
    }
    assert all(keys <= row.keys() for row in rows if row["kind"] == "update")
    assert {row["kind"] for row in rows} == {"update", "validation"}


def test_a_run_whose_weights_are_damaged_is_refused(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied(runs[0], tmp_path)
    weights = run / "best" / "averaged.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    (run / "report.html").unlink(missing_ok=True)
    assert main(["report", str(run)]) == 1
    assert "averaged.safetensors: not the file that training wrote" in capsys.readouterr().err
    assert not (run / "report.html").exists()
