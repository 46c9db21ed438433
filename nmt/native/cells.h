// Cell steps that follow at once on the product of their gates, while it is still in registers.
//
// The columns of a cell's matrix are grouped by 16 units: for the LSTMs in, forget, out, candidate of these units; for the GRU reset,
// update, W x, U h; for the tanh cell 64 units in a row. So one panel holds all that its units need.
#pragma once

#include "matrix.h"

namespace nmt::NMT_SET {

// exp(-x), between 2^-60 and 2^60, to a relative error of 3e-6: a polynomial fitted to 2^x between -1/2 and 1/2. NaN stays NaN.
inline Floats exp_minus(Floats x) {
    const Floats scaled = largest(all(-60.0f), least(all(60.0f), x * all(-1.44269504089f)));
    const Floats whole = rounded(scaled), rest = scaled - whole;
    Floats power = all(9.58285e-3f);
    power = fmadd(power, rest, all(5.590643e-2f));
    power = fmadd(power, rest, all(2.4024099e-1f));
    power = fmadd(power, rest, all(6.9312419e-1f));
    power = fmadd(power, rest, all(1.0f));
    return scaled_by_powers(power, whole);
}

// 1 / x of normal positive numbers up to 2^126, to a relative error of 2e-6. The bits of x, taken from a constant, are those of 1 / x within
// 5%, and each of two Newton steps squares the error. The inverses that processors offer differ from one to the other.
inline Floats inverse(Floats x) {
    Floats y = bits_below(0x7EF311C7, x);
    y = y * fnmadd(x, y, all(2.00128f));  // the constants centre the errors, which would all be of one sign
    return y * fnmadd(x, y, all(2.0000009f));
}

// 1 / (1 + exp(-x)) and tanh(x) = (1 - exp(-2 x)) / (1 + exp(-2 x)), to a relative and an absolute error of 1e-5.
inline Floats sigmoid(Floats x) { return inverse(all(1.0f) + exp_minus(x)); }
inline Floats hyperbolic_tangent(Floats x) {
    const Floats power = exp_minus(x + x);
    return (all(1.0f) - power) * inverse(all(1.0f) + power);
}
// sigmoid(x) tanh(y) with one inverse
inline Floats sigmoid_tanh(Floats x, Floats y) {
    const Floats power = exp_minus(y + y);
    return (all(1.0f) - power) * inverse((all(1.0f) + exp_minus(x)) * (all(1.0f) + power));
}

// Vectors of a state: hidden, and for the LSTMs the cell.
inline int64_t state_parts(const Cell& weights) { return weights.cell == LSTM || weights.cell == PEEPHOLE ? 2 : 1; }

// Where each row of a step reads and writes: vectors of `units` floats.
struct Rows {
    std::vector<const uint16_t*> added;  // [4 * units] or [units], half precision, in the matrix's order: to the product; bias included
    std::vector<const float*> hidden_before, cell_before;
    std::vector<float*> hidden, cell;

    void resize(int64_t rows) {
        added.resize(rows), hidden_before.resize(rows), cell_before.resize(rows), hidden.resize(rows), cell.resize(rows);
    }
};

inline void step_lstm(const Cell& weights, int64_t unit, const Floats (&gates)[REGISTERS], const Rows& rows, int64_t row) {
    const Floats before = load(rows.cell_before[row] + unit);
    _mm_prefetch(rows.cell_before[row] + unit + LANES, _MM_HINT_T0);
    Floats in = gates[0], forget = gates[1], out = gates[2];
    if (weights.cell == PEEPHOLE) {
        in = fmadd(load(weights.peepholes + unit), before, in);
        forget = fmadd(load(weights.peepholes + weights.units + unit), before, forget);
    }
    const Floats cell = fmadd(sigmoid(forget), before, sigmoid_tanh(in, gates[3]));
    if (weights.cell == PEEPHOLE) out = fmadd(load(weights.peepholes + 2 * weights.units + unit), cell, out);
    store(rows.cell[row] + unit, cell);
    store(rows.hidden[row] + unit, sigmoid_tanh(out, cell));
}

inline void step_gru(int64_t unit, const Floats (&gates)[REGISTERS], const Rows& rows, int64_t row) {
    const Floats update = sigmoid(gates[1]);
    const Floats candidate = hyperbolic_tangent(fmadd(sigmoid(gates[0]), gates[3], gates[2]));
    const Floats before = load(rows.hidden_before[row] + unit);
    store(rows.hidden[row] + unit, fmadd(update, before - candidate, candidate));
}

// One step of `count` rows whose recurrent (and other) inputs are given in bytes.
inline void step_cell(const Cell& weights, const Inputs& inputs, int64_t count, const Rows& rows) {
    multiply(weights.gates, inputs, count, [&](int64_t panel, int64_t row, Floats (&gates)[REGISTERS]) {
        const uint16_t* added = rows.added[row] + panel * PANEL;
        _mm_prefetch(added + PANEL, _MM_HINT_T0);  // for the next panel: rows lie too far apart for the processor to see it coming
        _mm_prefetch(added + PANEL + PANEL / 2, _MM_HINT_T0);
        UNROLL
        for (int c = 0; c < REGISTERS; ++c) gates[c] = gates[c] + load_half(added + c * LANES);
        if (weights.cell == GRU) {
            step_gru(panel * LANES, gates, rows, row);
        } else if (weights.cell == TANH) {
            UNROLL
            for (int c = 0; c < REGISTERS; ++c) store(rows.hidden[row] + panel * PANEL + c * LANES, hyperbolic_tangent(gates[c]));
        } else {
            step_lstm(weights, panel * LANES, gates, rows, row);
        }
    });
}

}  // namespace nmt::NMT_SET
