"""Slow, obvious versions of what the network computes."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def peephole_lstm(inputs_TI: Array, weights: dict[str, Array]) -> Array:
    """Gers & Schmidhuber (2000), gate by gate, one sequence from zeros: the states [T, H]."""
    hidden_size = weights["weight_hidden_GH"].shape[1]
    in_W, forget_W, candidate_W, out_W = np.split(weights["weight_input_GI"], 4)
    in_U, forget_U, candidate_U, out_U = np.split(weights["weight_hidden_GH"], 4)
    in_b, forget_b, candidate_b, out_b = np.split(
        weights["bias_input_G"] + weights["bias_hidden_G"], 4
    )
    in_p, forget_p, out_p = np.split(weights["peepholes_3H"], 3)
    hidden, cell = np.zeros(hidden_size), np.zeros(hidden_size)
    states = []
    for x in inputs_TI:
        in_gate = sigmoid(in_W @ x + in_U @ hidden + in_b + in_p * cell)
        forget_gate = sigmoid(forget_W @ x + forget_U @ hidden + forget_b + forget_p * cell)
        cell = forget_gate * cell + in_gate * np.tanh(
            candidate_W @ x + candidate_U @ hidden + candidate_b
        )
        out_gate = sigmoid(out_W @ x + out_U @ hidden + out_b + out_p * cell)
        hidden = out_gate * np.tanh(cell)
        states.append(hidden)
    return np.array(states)


def additive_weights(
    queries_TH: Array,
    states_SH: Array,
    query_W: Array,
    query_b: Array,
    key_W: Array,
    energy_v: Array,
) -> Array:
    """Bahdanau et al. (2015, appendix A.1.2): softmax over s of v . tanh(W q_t + U h_s)."""
    energies = np.array(
        [
            [energy_v @ np.tanh(query_W @ q + query_b + key_W @ h) for h in states_SH]
            for q in queries_TH
        ]
    )
    exponentials = np.exp(energies)
    return exponentials / exponentials.sum(1, keepdims=True)
