"""The parts of a report that need no model: records of runs, scales, charts, marks, trees,
markup."""

import csv
import fcntl
import json
import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nmt.errors import NmtError
from nmt.pages.charts import (
    POINTS,
    Chart,
    Scale,
    Series,
    clean,
    histogram,
    line_chart,
    nice_step,
    scale_over,
    short,
    sparkline,
    thinned,
)
from nmt.pages.heatmap import AttentionView, heat_map
from nmt.pages.markup import Markup, data, escape, table
from nmt.pages.page import page
from nmt.pages.tree import ROW, TreeNode, place_nodes, prediction_tree
from nmt.recipe import DataConfig, Recipe, dump_recipe
from nmt.report.build import header_notes
from nmt.report.close_up import CloseUp
from nmt.report.close_ups import choose_lines, close_up_section
from nmt.report.curves import number, score_of, training_section, trend
from nmt.report.examples import differing, level
from nmt.report.facts import machine
from nmt.report.records import RunRecord, read_run, read_runs
from nmt.report.scores import score_section
from nmt.report.sentences import (
    Output,
    Sentences,
    at_random,
    best,
    most_changed,
    words_with_probability,
    worst,
)
from nmt.report.spreadsheets import csv_text, spreadsheets
from nmt.scoring.breakdown import Group
from nmt.translation.result import Translation

UPDATE = {"kind": "update", "update": 10, "cross_entropy": 3.0, "layer_norms": {"output": 0.5}}
VALIDATION = {
    "kind": "validation",
    "update": 10,
    "best": True,
    "scores": [{"metric": "BLEU", "value": 12.5, "signature": "s"}],
}


def make_run(folder: Path, rows: str = "", state: str = "") -> Path:
    (folder / "last").mkdir(parents=True)
    recipe = Recipe(data=DataConfig(train=("train",), dev="dev", source="nl", target="en"))
    (folder / "recipe.toml").write_text(dump_recipe(recipe))
    (folder / "metrics.jsonl").write_text(rows)
    if state:
        (folder / "last/state.json").write_text(state)
    return folder


def test_a_run_is_read_row_by_row_and_the_line_being_written_is_left_out(tmp_path: Path) -> None:
    run = read_run(
        make_run(
            tmp_path / "run", f"{json.dumps(UPDATE)}\n{json.dumps(VALIDATION)}\n" + '{"kind": "upd'
        )
    )
    assert (run.name, run.updates, run.validations, run.best) == (
        "run",
        [UPDATE],
        [VALIDATION],
        VALIDATION,
    )
    assert (run.status, run.state, run.hashes, run.corpus) == ("stopped", {}, {}, {})


def test_a_run_whose_lock_is_held_is_still_training(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    with open(folder / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert read_run(folder).status == "training"
    assert read_run(folder).status == "stopped"


@pytest.mark.parametrize(("epoch", "status"), [(20, "stopped"), (21, "finished")])
def test_a_run_past_its_last_epoch_is_finished(epoch: int, status: str, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", state=json.dumps({"state": {"epoch": epoch}}))
    recipe = (folder / "recipe.toml").read_text()
    (folder / "recipe.toml").write_text(recipe.replace("epochs = 0", "epochs = 20"))
    assert read_run(folder).status == status


@pytest.mark.parametrize(
    ("limit", "state", "status"),
    [
        ("updates = 60", {"update": 59}, "stopped"),
        ("updates = 60", {"update": 60}, "finished"),
        ("minutes = 2", {"sessions": [{"seconds": 70}, {"seconds": 49}]}, "stopped"),
        ("minutes = 2", {"sessions": [{"seconds": 70}, {"seconds": 50}]}, "finished"),
    ],
)
def test_a_run_at_its_limit_is_finished(
    limit: str, state: dict[str, object], status: str, tmp_path: Path
) -> None:
    folder = make_run(tmp_path / "run", state=json.dumps({"state": state}))
    recipe = (folder / "recipe.toml").read_text()
    name = limit.split(" = ")[0]
    assert re.search(rf"^{name} = 0", recipe, re.MULTILINE)
    (folder / "recipe.toml").write_text(
        re.sub(rf"^{name} = [\d.]+", limit, recipe, flags=re.MULTILINE)
    )
    assert read_run(folder).status == status


def test_runs_in_folders_of_the_same_name_are_called_by_their_paths(tmp_path: Path) -> None:
    folders = [make_run(tmp_path / place / "run") for place in "ab"] + [
        make_run(tmp_path / "other")
    ]
    assert [run.name for run in read_runs(folders)] == [str(folders[0]), str(folders[1]), "other"]


@pytest.mark.parametrize(
    ("rows", "state", "message"),
    [
        ("{}\n", "", "metrics.jsonl:1: damaged .no object with an update"),
        (f"{json.dumps(UPDATE)}\nnonsense\n", "", "metrics.jsonl:2: damaged"),
        ("", "{", "state.json: damaged"),
        ("", '{"state": 5}', "state.json: damaged .state is no object"),
    ],
)
def test_a_damaged_file_is_named(rows: str, state: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(NmtError, match=message):
        read_run(make_run(tmp_path / "run", rows, state))


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NmtError, match="none: no such run folder"):
        read_run(tmp_path / "none")
    with pytest.raises(NmtError, match="no run of nmt train"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("rough", "step"), [(1, 1), (1.1, 2), (2.1, 5), (6, 10), (0.03, 0.05), (0.1, 0.1), (700, 1000)]
)
def test_steps_are_1_2_or_5_times_a_power_of_ten(rough: float, step: float) -> None:
    assert nice_step(rough) == pytest.approx(step)


def test_a_scale_holds_its_values_and_puts_its_ends_where_asked() -> None:
    scale = scale_over([3.2, 17.9], 100, 0)
    assert (scale.low, scale.high, scale.ticks()) == (0, 20, [0, 5, 10, 15, 20])
    assert (scale.place(0), scale.place(10), scale.place(20)) == (100, 50, 0)
    logarithmic = scale_over([0.3, 30], 0, 90, logarithmic=True)
    assert logarithmic.ticks() == [0.1, 1, 10, 100]
    assert logarithmic.place(1) == pytest.approx(30)


def test_a_scale_over_one_value_or_none_has_room() -> None:
    for values in ([], [0.0], [7.0], [-2.0]):
        for from_zero in (False, True):
            scale = scale_over(values, 0, 100, from_zero=from_zero)
            assert scale.low < scale.high
            assert all(0 <= scale.place(value) <= 100 for value in values)
    assert Scale(0, 1, 0, 10).ticks(3) == [0, 0.5, 1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0015, "0.0015"),
        (12000, "12k"),
        (3e6, "3M"),
        (1500, "1,500"),
        (250000, "250k"),
        (42.25, "42.2"),
    ],
)
def test_axis_labels_are_short(value: float, text: str) -> None:
    assert short(value) == text


def test_what_is_no_number_becomes_a_gap_in_the_line() -> None:
    series = Series("x", [1, 2, 3, 4, 5], [1.0, math.nan, 2.0, None, 0.0])
    assert clean(series, logarithmic=False).ys == [1.0, None, 2.0, None, 0.0]
    assert clean(series, logarithmic=True).ys == [1.0, None, 2.0, None, None]
    svg = line_chart(Chart("Loss", "update", "nats", [series]))
    assert svg.split('<path class="line c0" d="')[1].split('"')[0].count("M") == 3


def test_a_chart_without_values_says_so() -> None:
    assert "Not recorded." in line_chart(
        Chart("Loss", "update", "nats", [Series("x", [1], [None])])
    )
    assert "Not recorded." in histogram("Lengths", "pieces", [("nl", [])])
    assert sparkline([None, math.inf], "x") == ""


def test_a_long_line_is_thinned_to_means_and_a_dashed_one_to_peaks() -> None:
    xs, ys = [float(x) for x in range(2 * POINTS)], [0.0, 1.0] * POINTS
    assert thinned(Series("x", xs, ys)).ys == [0.5] * POINTS
    assert thinned(Series("x", xs, ys, kind="dashed")).ys == [1.0] * POINTS
    assert thinned(Series("x", xs, ys)).xs == xs[1::2]


def test_a_histogram_shows_shares() -> None:
    html = histogram("Lengths", "pieces", [("nl", [0, 0, 1, 2])], bins=3)
    assert "nl: from 0.5 at 0 to 0.25 at 2." in html


def test_a_run_without_metrics_says_so_instead_of_drawing_gaps(tmp_path: Path) -> None:
    found = training_section([read_run(make_run(tmp_path / "run"))])
    assert "No metrics are recorded here" in found
    assert "Not recorded." not in found


def test_a_row_without_a_metric_is_a_gap() -> None:
    assert score_of(VALIDATION, "BLEU") == 12.5
    assert [
        score_of(row, "BLEU")
        for row in ({}, {"scores": None}, {"scores": [3]}, {"scores": [{"metric": "TER"}]})
    ] == [None] * 4
    assert [number(value) for value in (3, 1.5, True, "3", None)] == [3.0, 1.5, None, None, None]


def test_text_can_neither_leave_its_element_nor_its_attribute() -> None:
    text = "<script>alert('\"')</script>"
    assert not set("<>\"'") & set(escape(text))
    assert not set("<>\"'") & set(data({"a": [text]}))
    assert "<b>3</b></td><td>&lt;b&gt;" in table(
        ["x", "y", "z"], [["r", Markup("<b>3</b>"), "<b>"]]
    )


def test_words_that_differ_are_found_in_order() -> None:
    assert differing(["the", "big", "cat", "sat"], ["the", "cat", "sat", "down"]) == ({1}, {3})
    assert differing([], ["a"]) == (set(), {0})


def translation(text: str, pieces: list[str], log_probs: list[float]) -> Translation:
    return Translation(text, sum(log_probs), 0.0, tuple(pieces), tuple(log_probs))


def test_a_words_probability_is_that_of_all_its_pieces() -> None:
    words = words_with_probability(
        translation("a cat.", ["▁a", "▁c", "at", "."], [-0.5, -1.0, -2.0, 0.0, -9.0])
    )
    assert [(word.text, word.probability) for word in words] == [
        ("a", math.exp(-0.5)),
        ("cat.", math.exp(-3.0)),
    ]


def test_words_have_no_probability_where_it_is_not_known() -> None:
    assert [
        word.probability for word in words_with_probability(translation("a b", ["▁a", "▁b"], []))
    ] == [None, None]
    assert [
        word.probability for word in words_with_probability(translation("a b", ["▁ab"], [0, 0]))
    ] == [None, None]
    assert words_with_probability(translation("", [], [0.0])) == []
    assert [level(value) for value in (0.05, 0.2, 0.5, 0.9, None)] == ["w0", "w1", "w2", "", ""]


SENTENCES = Sentences("dev", 4, ["s", "t", "", "u"], ["long reference", "ref", "x", "ref"])


def outputs(*scores: list[float]) -> list[Output]:
    return [Output(f"run {place}", [], each) for place, each in enumerate(scores)]


def test_examples_are_ordered_by_mean_score_then_length() -> None:
    found = outputs([10, 10, 0, 50], [10, 10, 0, 90])
    assert worst(found, SENTENCES, 2) == [0, 1]
    assert best(found, SENTENCES, 2) == [3, 0]
    assert most_changed(found, SENTENCES, 3) == [3]
    assert most_changed(found[:1], SENTENCES, 3) == []


def test_sentences_to_look_into_are_spread_over_the_scores() -> None:
    lines = Sentences("dev", 6, ["one two three"] * 5 + ["short"], ["r"] * 6)
    assert choose_lines(outputs([5, 1, 4, 2, 3, 0]), lines, 3) == [1, 4, 0]
    assert choose_lines(outputs([5]), Sentences("dev", 1, ["short"], ["r"])) == []


NODES = [
    TreeNode(-1, "▁a", -0.5, None, True), TreeNode(-1, "▁b", -0.9, None, False), TreeNode(0, "</s>", -1.0, -0.5, True),  # noqa: E501
    TreeNode(0, "c", -1.5, None, False), TreeNode(1, "d", -1.6, None, False),
]  # fmt: skip
HYPOTHESES = [("a", -1.0, -0.5)]
HEAT = AttentionView(
    "run",
    ["▁x", "▁<y>", "</s>"],
    ["▁a", "</s>"],
    [[0.9, 0.1, 0.0], [0.0, 0.3, 0.7]],
    [-0.5, -0.5],
)
VIEW = CloseUp("run", "x y", *map(list, HEAT[1:]), nodes=NODES, hypotheses=HYPOTHESES)


def test_a_tree_puts_children_behind_and_parents_in_the_middle_with_the_best_path_on_top() -> None:
    across, down = place_nodes(NODES)
    assert across[0] == across[1] < across[2] == across[3] == across[4]
    assert (down[2], down[3], down[4]) == (ROW, 2 * ROW, 3 * ROW)
    assert (down[0], down[1]) == (1.5 * ROW, 3 * ROW)


def test_a_heat_map_names_its_axes_and_writes_its_weights_in_percent() -> None:
    heat = heat_map(HEAT)
    assert "source piece →" in heat
    assert "← target piece" in heat
    assert re.findall(r'text-anchor="middle">(\d+)<', heat) == ["90", "10", "30", "70"]


def test_a_tree_hangs_together_and_writes_how_likely_each_piece_is_after_its_prefix() -> None:
    tree = prediction_tree("run", NODES, HYPOTHESES)
    assert tree.count('class="start"') == 1
    expected = [math.exp(-0.5), math.exp(-0.9), math.exp(-0.5), math.exp(-1.0), math.exp(-0.7)]
    assert re.findall(r'class="chance">(\d+)<', tree) == [f"{100 * each:.0f}" for each in expected]


def test_a_tree_and_a_heat_map_say_in_tables_what_they_show() -> None:
    tree, heat = prediction_tree("run", NODES, HYPOTHESES), heat_map(HEAT)
    assert tree.count('class="node') == 5
    assert tree.count("<path") == 5  # each node hangs on its parent or on the empty prefix
    assert '<tr><th scope="row">a</th><td>-1.00</td><td>-0.500</td></tr>' in tree
    assert "▁x 0.90, ▁&lt;y&gt; 0.10" in heat
    assert heat.count('class="cell"') == 4


def test_a_tree_too_big_to_draw_says_where_its_prefixes_are_and_keeps_its_hypotheses() -> None:
    told = prediction_tree("run", NODES * 100, HYPOTHESES, "--csv lists <them>")
    assert "500 prefixes, too many to draw; --csv lists &lt;them&gt;.</p>" in told
    assert '<tr><th scope="row">a</th><td>-1.00</td><td>-0.500</td></tr>' in told
    assert "<svg" not in told
    assert "too many to draw.</p>" in prediction_tree("run", NODES * 100, HYPOTHESES)


def test_a_close_up_draws_the_attention_and_the_tree_of_each_run() -> None:
    runs = [VIEW._replace(run="first"), VIEW._replace(run="<second>", nodes=NODES * 100)]
    shown = close_up_section([runs])
    tree = prediction_tree("first", NODES, HYPOTHESES)
    assert tree in shown
    assert heat_map(HEAT._replace(name="<second>")) in shown
    assert "<h4>&lt;second&gt;: a</h4>" in shown
    assert "nmt report --csv lists them" in shown


def test_a_page_tells_its_notes_after_the_date_in_the_header() -> None:
    now = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    line = "<p>2026-01-02 03:04 UTC · measured on &lt;it&gt;</p>"
    assert line in page("title", [], header_notes("<it>", False), now)
    assert "<p>2026-01-02 03:04 UTC</p>" in page("title", [], header_notes("", False), now)
    assert header_notes("it", True)[1].startswith("training goes on")


def validated(folder: Path, key: str, values: list[float]) -> RunRecord:
    rows = [{"kind": "validation", "update": place, "cross_entropy": value, "scores": [{"metric": "BLEU", "value": value}]}  # noqa: E501
            for place, value in enumerate(values, start=1)]  # fmt: skip
    run = read_run(make_run(folder, "".join(f"{json.dumps(row)}\n" for row in rows)))
    return run._replace(
        recipe=replace(run.recipe, training=replace(run.recipe.training, select=key))
    )


@pytest.mark.parametrize(
    ("select", "values", "words"),
    [
        (
            "bleu",
            [10, 20, 30, 40, 41, 42, 43, 44],
            "still gets better (43.5 on average over the last 2 validations, 41.5 over",
        ),
        (
            "bleu",
            [10, 20, 44, 44, 44.1, 44.1],
            (
                "has levelled off (44.1 on average over the last 2 validations, 44.0 over the 2"
                " before)"
            ),
        ),
        ("bleu", [44, 44, 40, 41], "gets worse"),
        (
            "loss",
            [3.0, 3.0, 2.0, 2.0],
            (
                "still gets better (2.000 on average over the last 2 validations, 3.000 over the 2"
                " before)"
            ),
        ),
        ("loss", [2.0, 2.0, 3.0, 3.0], "gets worse"),
        ("bleu", [1, 2, 3], "too few validations (3)"),
    ],
)
def test_the_report_says_whether_the_curve_still_gets_better(
    select: str, values: list[float], words: str, tmp_path: Path
) -> None:
    assert words in trend(validated(tmp_path / "run", select, values))


def test_the_minutes_of_a_run_are_its_pieces_over_their_speed(tmp_path: Path) -> None:
    rows = [
        {"kind": "update", "update": n, "pieces": pieces, "pieces_per_second": speed}
        for n, pieces, speed in ((1, 600, 10), (2, 1200, 5))
    ]
    run = read_run(make_run(tmp_path / "run", "".join(f"{json.dumps(row)}\n" for row in rows)))
    assert run.minutes == 600 / 10 / 60 + 600 / 5 / 60
    assert run._replace(updates=[]).minutes is None


def test_random_examples_are_the_same_each_time_and_none_is_blank() -> None:
    lines = Sentences("dev", 9, ["x"] * 8 + [""], ["y"] * 9)
    chosen = at_random(lines, 4)
    assert chosen == at_random(lines, 4) == sorted(set(chosen))
    assert len(chosen) == 4
    assert at_random(lines, 20) == list(range(8))


def test_a_bar_stands_beside_its_number() -> None:
    group = [Group("all", [0])]
    html = score_section(
        [Output("run", [Translation("a b c d", 0.0, 0.0, ())], [100.0])],
        Sentences("dev", 2, ["x"], ["a b c d"]),
        group,
    )
    assert 'class="bar" style="--value:100%" aria-hidden="true"></span>' in html
    assert "Scores on the first 1 of 2 lines" in html
    assert "<details><summary>Signatures" in html
    assert "± is half of a 95 % confidence interval" in html
    assert "one line: all resamples are the same" in html


def test_runs_that_translate_alike_are_called_the_same_and_get_no_star() -> None:
    made = [Translation("a b c d", 0.0, 0.0, ()), Translation("e f", 0.0, 0.0, ())]
    runs = [Output(name, made, [100.0, 100.0]) for name in ("one", "two")]
    html = score_section(runs, Sentences("dev", 2, ["x", "y"], ["a b c d", "e f g"]), [])
    assert html.count("same output as the first system") == 4  # a metric each
    assert "<small>p = " not in html


def test_the_machine_is_named_where_the_system_tells(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name : A Chip\n")
    assert machine(tmp_path / "cpuinfo").startswith("A Chip, ")
    assert machine(tmp_path / "none")


def test_spreadsheets_hold_what_the_page_thins(tmp_path: Path) -> None:
    rows = [{**UPDATE, "update": number} for number in range(1, 1001)] + [VALIDATION]
    run = read_run(make_run(tmp_path / "run", "".join(f"{json.dumps(row)}\n" for row in rows)))
    lines = Sentences("dev", 1, ["een, twee"], ["one"])
    made = spreadsheets(
        [run], [Output("run", [Translation('"a"', 0.0, 0.0, ())], [12.345])], lines, [VIEW]
    )
    assert [
        len(made[name]) - 1 for name in ("updates", "layers", "validations", "attention", "tree")
    ] == [1000, 1000, 1, 6, 5]
    assert made["updates"][1] == ["run", 1, 3.0]
    assert list(csv.reader(csv_text(made["sentences"]).splitlines()))[1] == [
        "1",
        "een, twee",
        "one",
        "12.35",
        '"a"',
    ]
    assert spreadsheets([], [], None, []) == {}
