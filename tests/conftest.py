import json
import random
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from native_networks import SETS

from nmt import native
from nmt.commands.main import main
from nmt.engines.export import export_model
from nmt.engines.packed.layers import Kernels
from nmt.engines.packed.network import PackedNetwork
from nmt.engines.plain import PlainNetwork
from nmt.files import file_hash
from nmt.model.translation import Seq2Seq
from nmt.model.weights import named_weights, save_weights
from nmt.recipe import (
    DataConfig,
    ModelConfig,
    Recipe,
    SearchConfig,
    SubwordsConfig,
    TrainingConfig,
    dump_recipe,
)
from nmt.text.subwords import SubwordPair, train_subwords
from nmt.translation.translator import Translator

settings.register_profile(
    "here", deadline=None
)  # machines are noisy: no example is judged by its time
settings.load_profile("here")
torch.set_num_threads(1)

WORDS = [
    "aap",
    "noot",
    "mies",
    "wim",
    "zus",
    "jet",
    "teun",
    "vuur",
    "gijs",
    "lam",
    "kees",
    "bok",
    "weide",
    "does",
    "hok",
    "duif",
    "schapen",
]


def write_corpus(prefix, pairs, seed=1):
    """`pairs` lines of made-up text and, as their translation, the same words in reverse order
    and in capitals."""
    generator = random.Random(seed)
    lines = [
        [generator.choice(WORDS) for _ in range(generator.randint(1, 6))] for _ in range(pairs)
    ]
    prefix.with_suffix(".nl").write_text(
        "".join(" ".join(words) + "\n" for words in lines), encoding="utf-8"
    )
    prefix.with_suffix(".en").write_text(
        "".join(" ".join(reversed(words)).upper() + "\n" for words in lines), encoding="utf-8"
    )
    return str(prefix)


@pytest.fixture
def tiny_recipe(tmp_path):
    """A recipe that trains in a second or two."""
    return recipe_in(tmp_path)


def recipe_in(folder):
    """The tiny recipe, with its corpus in this folder."""
    return Recipe(
        data=DataConfig(
            train=(write_corpus(folder / "train", 120),),
            dev=write_corpus(folder / "dev", 10, seed=2),
            source="nl",
            target="en",
        ),
        subwords=SubwordsConfig(vocab_size=330, variety=0.0),
        model=ModelConfig(embedding_size=16, hidden_size=16, dropout=0.2),
        training=TrainingConfig(
            epochs=2,
            batch_pieces=160,
            warmup=5,
            report_every=3,
            validate_every=7,
            precision="fp32",
            keep=2,
        ),
        search=SearchConfig(beam=2, max_length_factor=1.0, max_length_extra=4),
    )


def untrained_translator(seed=1, engine=True, shortlist=None, words=WORDS, **settings):
    """A translator between made-up texts whose network has random weights, large enough for its
    outputs to differ."""
    recipe = Recipe(
        data=DataConfig(train=("train",), dev="dev", source="nl", target="en", max_length=40),
        subwords=SubwordsConfig(variety=0.0),
        model=ModelConfig(**{"embedding_size": 12, "hidden_size": 16, **settings}),
        search=SearchConfig(beam=3, max_length_factor=1.0, max_length_extra=6),
    )
    subwords = train_subwords(
        [" ".join(words), " ".join(words).upper()], recipe.subwords, 330, seed=1
    )
    torch.manual_seed(seed)
    model = Seq2Seq(recipe.model, subwords.size, subwords.size, shared=True).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    kernels = Kernels(precision="fp32")
    network = PackedNetwork(model, kernels, shortlist) if engine else PlainNetwork(model)
    return Translator(network, SubwordPair(subwords, subwords), recipe)


def write_untrained(model, checkpoint):
    """The part of a checkpoint that translation reads."""
    checkpoint.mkdir(parents=True, exist_ok=True)
    save_weights(named_weights(model), checkpoint / "averaged.safetensors")
    state = {"sha256": {"averaged.safetensors": file_hash(checkpoint / "averaged.safetensors")}}
    (checkpoint / "state.json").write_text(json.dumps(state), encoding="utf-8")


def untrained_run(folder, seed=1, **form):
    """The path of a run folder whose network has learnt nothing."""
    recipe = Recipe(
        data=DataConfig(train=("train",), dev="dev", source="nl", target="en"),
        subwords=SubwordsConfig(kind="char", variety=0.0),
        model=ModelConfig(
            embedding_size=8, hidden_size=8, encoder_layers=1, decoder_layers=1, **form
        ),
        search=SearchConfig(beam=2, max_length_extra=3, max_length_factor=1.0),
    )
    text = "de kat zit op een mat en de hond slaapt . the cat sits on a mat and the dog sleeps ."
    subwords = train_subwords([text], recipe.subwords, 400, seed=1)
    SubwordPair(subwords, subwords).save(folder)
    (folder / "recipe.toml").write_text(dump_recipe(recipe), encoding="utf-8")
    torch.manual_seed(seed)
    write_untrained(
        Seq2Seq(recipe.model, subwords.size, subwords.size, shared=True), folder / "last"
    )
    return str(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run folder whose network has learnt nothing."""
    return untrained_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One with the same subwords and another cell."""
    return untrained_run(tmp_path_factory.mktemp("other"), seed=2, cell="gru")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported model whose network has learnt nothing."""
    folder = tmp_path_factory.mktemp("exported")
    (folder / "run").mkdir()
    export_model(Path(untrained_run(folder / "run")), folder / "model")
    return folder / "model"


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """Three lines, the second one blank, the third with a byte that is no UTF-8."""
    path = tmp_path / "in.nl"
    path.write_bytes(b"de kat\n\nde hond \xff\n")
    return path


def failure(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on stderr of a command that must fail with status 1."""
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("nmt: error: ")
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.fixture(params=SETS or [None])
def each_set(request):
    """Compiled functions of each instruction set that this processor has, one after the other."""
    if request.param:
        before = native.set_in_use()
        native.functions().nmt_use_set(native.SETS.index(request.param))
        yield request.param
        native.functions().nmt_use_set(native.SETS.index(before))
    else:
        yield None
