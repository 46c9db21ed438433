"""nmt sample, nmt score TEXT and nmt.LanguageModel, on a model of a small text."""

import json
import math
from contextlib import suppress
from pathlib import Path

import pytest
import torch

import nmt
from nmt.commands.main import main
from nmt.engines.export import export_model
from nmt.engines.language import LanguageNetwork
from nmt.errors import NmtError
from nmt.search.beam import beam_search
from nmt.search.settings import SearchSettings
from nmt.vocabulary import BOS, EOS, PAD, UNK

TEXT = "".join(f"the {word} sat on the mat .\n" for word in ("cat", "dog", "cow", "hen") * 30)


def trained(folder: Path, *settings: str) -> Path:
    (folder / "train.txt").write_text(TEXT)
    (folder / "dev.txt").write_text(TEXT[:300])
    given = [
        "subwords.kind=char", "model.hidden_size=16", "model.embedding_size=8",
        "training.threads=1", "training.learning_rate=0.02", "training.epochs=30",
        "training.precision=fp32",
        "training.batch_pieces=300", "model.dropout=0", "training.average_decay=0.9", *settings,
    ]  # fmt: skip
    files = ["--train", str(folder / "train.txt"), "--dev", str(folder / "dev.txt")]
    run = ["--run", str(folder / "run")]
    options = [part for setting in given for part in ("--set", setting)]
    assert main(["train", "--task", "language-model", *files, *run, *options]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Path:
    return trained(tmp_path_factory.mktemp("running"), "data.running=true", "data.window=20")


@pytest.fixture(scope="module")
def lines(tmp_path_factory) -> Path:
    return trained(tmp_path_factory.mktemp("lines"))


def by_steps(model: nmt.LanguageModel, text: list[str]) -> list[float]:
    """The log-probability of each line, one step of the network after the other."""
    found, before, state = [], EOS if model.running else BOS, model.model.initial_state(1)
    for line in text:
        if not model.running:
            before, state = BOS, model.model.initial_state(1)
        total = 0.0
        for piece in [*model.subwords.encode([line])[0], EOS]:
            with torch.inference_mode():
                logits, state = model.model.step(torch.tensor([before]), state)
            total += float(logits.log_softmax(1)[0, piece])
            before = piece
        found.append(total)
    return found


@pytest.mark.parametrize("kind", ["running", "lines"])
def test_scores_are_those_of_single_steps(kind, request):
    model = nmt.LanguageModel.load(request.getfixturevalue(kind))
    text = ["the cat sat", "", "mat the on sat dog the .", "the hen"]
    scores = model.score(text)
    assert [score.log_prob for score in scores] == pytest.approx(by_steps(model, text), abs=1e-4)
    for score in scores:
        assert score.log_prob == pytest.approx(sum(value for _, value in score.symbols))
        assert score.symbols[-1][0] == "\n"


def test_next_symbols_are_a_distribution_that_knows_the_text(running):
    model = nmt.LanguageModel.load(running)
    symbols = model.next_symbols("the cat sat on the ma", count=10_000)
    assert sum(probability for _, probability in symbols) == pytest.approx(1, abs=1e-5)
    assert symbols == sorted(symbols, key=lambda each: -each[1])
    log_probs = model.score(["the cat sat on the mat ."])[0].symbols
    after = dict(symbols)["t"]
    assert math.log(after) == pytest.approx(log_probs[22][1], abs=1e-4)  # the t of "mat"


def test_samples_are_a_function_of_seed_and_number(running):
    model = nmt.LanguageModel.load(running)
    texts = ["".join(model.sample("the ", length=40, seed=2, number=number)) for number in (0, 1)]
    assert texts[0] != texts[1]
    assert texts[0] == "".join(model.sample("the ", length=40, seed=2))
    assert all(text.startswith("the ") for text in texts)


def test_the_likeliest_symbol_alone_writes_what_greedy_search_finds(lines):
    model = nmt.LanguageModel.load(lines)
    text = "".join(model.sample("", top_k=1, length=60))
    settings = SearchSettings(beam=1, length_extra=60, forbidden=(PAD, UNK, BOS))
    network = LanguageNetwork(model.model, running=False)
    ((best,),) = beam_search(network, [[]], settings).hypotheses
    assert text == model.subwords.decode([best.pieces])[0]
    assert best.log_prob == pytest.approx(model.score([text])[0].log_prob, abs=1e-4)


def test_a_prime_of_several_lines_is_read_as_running_text(running):
    model = nmt.LanguageModel.load(running)
    whole = model.score(["the cat sat", "the dog"])[1].symbols[1]
    found = dict(model.next_symbols("the cat sat\n", count=10_000))
    first = model.score(["the cat sat", "the dog"])[1].symbols[0]
    assert whole[0] == "t"
    assert math.log(found[first[0]]) == pytest.approx(first[1], abs=1e-4)


def test_the_command_writes_count_samples_of_a_model_of_lines(lines, capsys):
    assert main(["sample", str(lines), "--count", "3", "--prime", "the", "--seed", "5"]) == 0
    written = capsys.readouterr().out
    model = nmt.LanguageModel.load(lines)
    expected = ["".join(model.sample("the", seed=5, number=number)) for number in range(3)]
    assert written.splitlines() == expected


def test_the_command_marks_samples_of_running_text(running, capsys):
    assert main(["sample", str(running), "--count", "2", "--length", "9"]) == 0
    written = capsys.readouterr().out
    assert written.startswith("--- 1\n")
    assert "\n--- 2\n" in written


def test_the_score_command_tells_perplexity_and_what_it_is_of(lines, tmp_path, capsys):
    (tmp_path / "text").write_text("the cat sat\n\nthe  dog\n")
    assert main(["score", str(lines), str(tmp_path / "text")]) == 0
    told = capsys.readouterr()
    values = [float(line) for line in told.out.splitlines()]
    assert len(values) == 3
    # 11, 0 and 7 characters, a piece more where a line begins with the mark of a word
    perplexity = math.exp(-sum(values) / (12 + 1 + 1 + 8 + 1))
    bits = -sum(values) / math.log(2) / (12 + 1 + 8)
    assert f"perplexity {perplexity:.4f} (per piece, 23 with ends of line)" in told.err
    assert f"bits per character {bits:.4f} (of 21 characters with ends of line)" in told.err
    assert main(["score", str(lines), str(tmp_path / "text"), "--symbols"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["log_prob"] for row in rows] == pytest.approx(values, abs=1e-6)
    assert [name for name, _ in rows[0]["symbols"]] == [*"▁the▁cat▁sat", "\n"]


def test_a_tree_of_all_symbols_is_the_whole_distribution(lines):
    """All prefixes of two symbols: what is not shown is what is never written (PAD, UNK, BOS)."""
    model = nmt.LanguageModel.load(lines)
    size = model.subwords.size - 3
    tree = model.tree("the c", depth=2, width=1000, beam=1000)
    first = [node for node in tree.nodes if node.parent < 0]
    assert len(first) == size
    assert len(tree.nodes) == size + (size - 1) * size  # nothing follows the end of the line
    assert sum(node.probability for node in first) + tree.rest == pytest.approx(1)
    for number, node in enumerate(tree.nodes[:size]):
        after = [each for each in tree.nodes if each.parent == number]
        if node.symbol == "\n":
            assert (after, node.rest) == ([], None)
            continue
        assert node.rest is not None
        assert sum(each.probability for each in after) + node.rest == pytest.approx(1)
        assert after[0].log_prob == pytest.approx(node.log_prob + math.log(after[0].probability))


def test_a_tree_has_the_probabilities_of_the_scores(lines):
    model = nmt.LanguageModel.load(lines)
    tree = model.tree("the ", depth=3, width=2, beam=3)
    scored = {text: model.score([text])[0].symbols for text in ("the cat", "the dog")}
    compared = 0
    for number, node in enumerate(tree.nodes):
        path = [node]
        while path[0].parent >= 0:
            path.insert(0, tree.nodes[path[0].parent])
        word = "".join(each.symbol for each in path)
        for text, symbols in scored.items():
            if text[4 : 4 + len(word)] == word:
                compared += 1
                expected = [value for _, value in symbols[5 : 5 + len(word)]]
                assert node.log_prob == pytest.approx(sum(expected), abs=1e-4), number
    assert compared >= 3
    levels = [node for node in tree.nodes if node.rest is not None and node.parent >= 0]
    assert len(levels) <= 3  # of the second depth; the third is not expanded
    assert len([node for node in tree.nodes if node.parent < 0]) == 2


def test_the_tree_command_prints_and_writes_the_same_tree(lines, tmp_path, capsys):
    model = nmt.LanguageModel.load(lines)
    tree = model.tree("the ", depth=2, width=2, beam=1)
    assert main(["tree", str(lines), "the ", "--depth", "2", "--width", "2", "--beam", "1"]) == 0
    printed = capsys.readouterr().out.splitlines()
    first = tree.nodes[0]
    assert printed[:2] == ['"the "', f'├─ "{first.symbol}" {first.probability:.3f}']
    assert len(printed) == 1 + len(tree.nodes) + 2  # and what is not shown of two prefixes
    out = tmp_path / "tree.json"
    options = ["--depth", "2", "--width", "2", "--beam", "1", "--out", str(out)]
    assert main(["tree", str(lines), "the ", *options]) == 0
    written = json.loads(out.read_text())
    assert [node["symbol"] for node in written["nodes"]] == [node.symbol for node in tree.nodes]
    assert written["rest"] == tree.rest


def test_an_exported_language_model_scores_the_same(lines, tmp_path):
    export_model(lines, tmp_path / "model")
    before, after = (nmt.LanguageModel.load(path) for path in (lines, tmp_path / "model"))
    assert before.score(["the cow"]) == after.score(["the cow"])
    assert "language model" in (tmp_path / "model" / "README.md").read_text()


def test_info_says_what_a_language_model_is(lines, capsys):
    assert main(["info", str(lines)]) == 0
    told = capsys.readouterr().out
    assert told.startswith("task: language model\nnetwork: lstm, 2 layers of 16\n")
    assert "bits per character = " in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["translate"], "a language model, which does not translate; use nmt score or nmt sample"),
        (["sample", "--temperature", "0"], "above 0"),
        (["score", "--source", "a"], "give --source and --target, or TEXT"),
        (["score", "text", "--source", "a"], "give either TEXT"),
        (["score", "text", "--precision", "int8"], "a language model computes in fp32"),
        (["tree", "a", "--out", "a.html"], "--out must end in .json or .txt, got a.html"),
        (["tree", "a", "--depth", "0"], "must be at least 1, got 0"),
    ],
)
def test_what_a_language_model_cannot_do_is_refused(arguments, message, lines, capsys):
    command, *rest = arguments
    with suppress(SystemExit):  # what argparse and UsageError end with
        main([command, str(lines), *rest])
    assert message in capsys.readouterr().err


def test_a_prime_of_several_lines_is_refused_by_a_model_of_lines(lines):
    with pytest.raises(NmtError, match="this is a model of single lines"):
        list(nmt.LanguageModel.load(lines).sample("a\nb"))
    with pytest.raises(NmtError, match="length must be at least 1"):
        nmt.LanguageModel.load(lines).sample(length=0)
