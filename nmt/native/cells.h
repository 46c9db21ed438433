// Cell steps that follow at once on the product of their gates, while it is still in registers.
//
// The columns of a cell's matrix are grouped by 16 units: for the LSTMs in, forget, out, candidate of these units; for the GRU reset,
// update, W x, U h; for the tanh cell 64 units in a row. So one panel holds all that its units need.
#pragma once

#include "matrix.h"

namespace nmt {

// Mirrors CellArrays in nmt/native/__init__.py.
struct CellWeights {
    Matrix gates;            // without a bias
    const uint16_t* bias;    // [columns], half precision
    const float* peepholes;  // [3][units]: in, forget, out; only of a PEEPHOLE cell
    int64_t cell;
    int64_t units;
};

// Vectors of a state: hidden, and for the LSTMs the cell.
inline int64_t state_parts(const CellWeights& weights) { return weights.cell == LSTM || weights.cell == PEEPHOLE ? 2 : 1; }

// Where each row of a step reads and writes: vectors of `units` floats.
struct Rows {
    std::vector<const uint16_t*> added;  // [4 * units] or [units], half precision, in the matrix's order: to the product; bias included
    std::vector<const float*> hidden_before, cell_before;
    std::vector<float*> hidden, cell;

    void resize(int64_t rows) {
        added.resize(rows), hidden_before.resize(rows), cell_before.resize(rows), hidden.resize(rows), cell.resize(rows);
    }
};

inline void step_lstm(const CellWeights& weights, int64_t unit, const __m512 (&gates)[REGISTERS], const Rows& rows, int64_t row) {
    const __m512 before = _mm512_loadu_ps(rows.cell_before[row] + unit);
    _mm_prefetch(rows.cell_before[row] + unit + LANES, _MM_HINT_T0);
    __m512 in = gates[0], forget = gates[1], out = gates[2];
    if (weights.cell == PEEPHOLE) {
        in = _mm512_fmadd_ps(_mm512_loadu_ps(weights.peepholes + unit), before, in);
        forget = _mm512_fmadd_ps(_mm512_loadu_ps(weights.peepholes + weights.units + unit), before, forget);
    }
    const __m512 added = _mm512_mul_ps(sigmoid16(in), tanh16(gates[3]));
    const __m512 cell = _mm512_fmadd_ps(sigmoid16(forget), before, added);
    if (weights.cell == PEEPHOLE) out = _mm512_fmadd_ps(_mm512_loadu_ps(weights.peepholes + 2 * weights.units + unit), cell, out);
    _mm512_storeu_ps(rows.cell[row] + unit, cell);
    _mm512_storeu_ps(rows.hidden[row] + unit, _mm512_mul_ps(sigmoid16(out), tanh16(cell)));
}

inline void step_gru(int64_t unit, const __m512 (&gates)[REGISTERS], const Rows& rows, int64_t row) {
    const __m512 update = sigmoid16(gates[1]);
    const __m512 candidate = tanh16(_mm512_fmadd_ps(sigmoid16(gates[0]), gates[3], gates[2]));
    const __m512 before = _mm512_loadu_ps(rows.hidden_before[row] + unit);
    _mm512_storeu_ps(rows.hidden[row] + unit, _mm512_fmadd_ps(update, _mm512_sub_ps(before, candidate), candidate));
}

// One step of `count` rows whose recurrent (and other) inputs are given in bytes.
inline void step_cell(const CellWeights& weights, const Inputs& inputs, int64_t count, const Rows& rows) {
    multiply(weights.gates, inputs, count, [&](int64_t panel, int64_t row, __m512(&gates)[REGISTERS]) {
        const uint16_t* added = rows.added[row] + panel * PANEL;
        _mm_prefetch(added + PANEL, _MM_HINT_T0);  // for the next panel: rows lie too far apart for the processor to see it coming
        _mm_prefetch(added + PANEL + PANEL / 2, _MM_HINT_T0);
        UNROLL
        for (int c = 0; c < REGISTERS; ++c) gates[c] = _mm512_add_ps(gates[c], load_half(added + c * LANES));
        if (weights.cell == GRU) {
            step_gru(panel * LANES, gates, rows, row);
        } else if (weights.cell == TANH) {
            UNROLL
            for (int c = 0; c < REGISTERS; ++c) _mm512_storeu_ps(rows.hidden[row] + panel * PANEL + c * LANES, tanh16(gates[c]));
        } else {
            step_lstm(weights, panel * LANES, gates, rows, row);
        }
    });
}

}  // namespace nmt
