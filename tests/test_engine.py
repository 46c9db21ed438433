import pytest
import torch
from instructions import needs_bf16_kernels
from test_seq2seq import FORMS, PAIRS, V, network

from nmt.engines.packed.layers import Kernels, PackedLinear
from nmt.engines.packed.network import PackedNetwork
from nmt.engines.plain import PlainNetwork
from nmt.model.translation import Seq2Seq
from nmt.recipe import ModelConfig
from nmt.search.beam import beam_search
from nmt.search.settings import SearchSettings

FP32 = Kernels(precision="fp32")
FAST_BF16 = [
    Kernels(precision="bf16", fast_bf16=True),
    Kernels(precision="int8", engine="onednn", fast_bf16=True),
]
ROUNDED = [
    *(
        Kernels(precision="bf16"),
        Kernels(precision="int8"),
        Kernels(precision="int8", engine="onednn"),
    ),
    *(pytest.param(kernels, marks=needs_bf16_kernels, id=str(kernels)) for kernels in FAST_BF16),
]
STEPS = [  # the rows and the sentences that stay after each step
    ([0, 0, 1, 1, 2, 2], None),
    ([0, 1, 3, 2, 5, 4], None),
    ([0, 1, 4, 5], [0, 2]),
    ([1, 0, 3, 3], None),
]


def spread_out(form):
    """A network whose weights are large enough for its outputs to differ."""
    model = network(**form)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def largest_difference(model, engine):
    """Of the logits of a search with reordered rows and a sentence that leaves."""
    plain, sources = PlainNetwork(model), [source for source, _ in PAIRS]
    with torch.inference_mode():
        expected, found = (network.start(sources) for network in (plain, engine))
        differences = []
        for rows, sentences in STEPS:
            pieces_N = torch.randint(4, V, (len(found.decoder.layers[0][0]),))
            expected_NV, expected = plain.step(pieces_N, expected)
            found_NV, found = engine.step(pieces_N, found)
            differences.append(float((expected_NV - found_NV).abs().max()))
            chosen = torch.tensor(rows), None if sentences is None else torch.tensor(sentences)
            expected, found = expected.select(*chosen), found.select(*chosen)
    return max(differences)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_the_engine_computes_what_the_network_computes(form):
    model = spread_out(form)
    assert largest_difference(model, PackedNetwork(model, FP32)) < 1e-5


@pytest.mark.parametrize(
    "form", [{"cell": cell} for cell in ("lstm", "gru", "peephole", "tanh")], ids=str
)
@pytest.mark.parametrize("kernels", ROUNDED, ids=str)
def test_rounded_weights_change_the_logits_a_little(form, kernels):
    model = spread_out(form)
    assert 0 < largest_difference(model, PackedNetwork(model, kernels)) < 0.1


@needs_bf16_kernels
@pytest.mark.parametrize("rows", [1, 2, 40])
def test_bf16_numbers_have_the_same_products_without_bf16_kernels(rows):
    torch.manual_seed(1)
    weight_OI, bias_O, inputs_NI = torch.randn(48, 32), torch.randn(48), torch.randn(rows, 32)
    fast, plain = (
        PackedLinear(weight_OI, bias_O, Kernels(precision="bf16", fast_bf16=fast))(inputs_NI)
        for fast in (True, False)
    )
    torch.testing.assert_close(
        fast, plain, rtol=2**-7, atol=1e-5
    )  # another order of the sums, at most, before they are rounded


def test_bf16_rounds_the_factors_and_the_sums():
    weight_OI, bias_O = torch.tensor([[1.0, 1 / 3], [2**-9, 0.0]]), torch.tensor([1 / 7, 1.0])
    found_NO = PackedLinear(weight_OI, bias_O, Kernels(precision="bf16"))(
        torch.tensor([[1 / 5, 3.0]])
    )
    fifth, third, seventh = (float(torch.tensor(1 / number).bfloat16()) for number in (5, 3, 7))
    expected = [fifth + 3 * third + seventh, 1 + fifth * 2**-9]
    assert found_NO.tolist() == [torch.tensor(expected).bfloat16().float().tolist()]


def hypotheses(engine, sources, beam):
    settings = SearchSettings(beam=beam, length_factor=1, length_extra=10)
    return [best.pieces for (best,) in beam_search(engine, sources, settings).hypotheses]


@pytest.mark.parametrize("beam", [1, 4])
def test_batch_mates_change_no_hypothesis_in_fp32(beam):
    engine = PackedNetwork(spread_out({}), FP32)
    sources = torch.randint(4, V, (37, 12)).tolist()
    sources = [
        source[: 1 + number % 12] for number, source in enumerate(sources)
    ]  # enough for finished ones to stay for a while
    alone = [hypotheses(engine, [source], beam)[0] for source in sources]
    assert hypotheses(engine, sources, beam) == alone
    assert hypotheses(engine, sources[::-1], beam) == alone[::-1]


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"cell": "gru", "attention": "additive"},
        {"cell": "peephole", "heads": 4, "input_feeding": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("beam", [1, 5])
def test_batch_mates_change_no_bit_of_a_score_in_fp32(form, beam):
    torch.manual_seed(1)
    engine = PackedNetwork(
        Seq2Seq(
            ModelConfig(embedding_size=64, hidden_size=64, **form), 200, 200, shared=True
        ).eval(),
        FP32,
    )
    sources = [
        source[: 1 + 5 * number % 49]
        for number, source in enumerate(torch.randint(4, 200, (24, 49)).tolist())
    ]
    alone = [n_best(engine, [source], beam)[0] for source in sources]
    assert n_best(engine, sources, beam) == alone
    assert n_best(engine, sources[::-1], beam) == alone[::-1]
    assert [
        found
        for first in range(0, 24, 5)
        for found in n_best(engine, sources[first : first + 5], beam)
    ] == alone


def n_best(engine, sources, beam):
    """The pieces and scores of all hypotheses that a search keeps."""
    settings = SearchSettings(beam=beam, n_best=beam, length_extra=12)
    return [
        [(each.pieces, each.log_prob, each.score) for each in hypotheses]
        for hypotheses in beam_search(engine, sources, settings).hypotheses
    ]


def test_a_step_leaves_the_state_before_it_as_it_was():
    engine = PackedNetwork(spread_out({}), FP32)
    with torch.inference_mode():
        state = engine.start([source for source, _ in PAIRS])
        first_NV = engine.step(torch.tensor([5, 6, 7]), state)[0].clone()
        engine.step(torch.tensor([9, 9, 9]), state)
        torch.testing.assert_close(
            engine.step(torch.tensor([5, 6, 7]), state)[0], first_NV, rtol=0, atol=0
        )
