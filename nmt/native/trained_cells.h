// One position of each cell in training, forwards and backwards, while the product with the hidden state is still in registers.
//
// Gates are grouped by 16 units: of an LSTM in, forget, candidate, out of the first 16 units, then of the next; of a GRU reset, update, new.
#pragma once

#include "bfloat.h"

namespace nmt::NMT_SET {

// The sigmoid, to a relative error of 1e-4 (most of it the hardware's inverse of 14 bits), and with it tanh to an absolute one of 1e-4: less
// than inputs in bfloat16 leave open. 2^x between -1/2 and 1/2 is a polynomial fitted to an error of 3e-6. Infinities may give NaN.
inline __m512 sigmoid16(__m512 x) {
    const __m512 scaled = _mm512_mul_ps(x, _mm512_set1_ps(-1.44269504089f));
    const __m512 whole = _mm512_roundscale_ps(scaled, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 rest = _mm512_sub_ps(scaled, whole);
    __m512 power = _mm512_set1_ps(9.58285e-3f);
    power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(5.590643e-2f));
    power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(2.4024099e-1f));
    power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(6.9312419e-1f));
    power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(1.0f));
    return _mm512_rcp14_ps(_mm512_add_ps(_mm512_set1_ps(1.0f), _mm512_scalef_ps(power, whole)));
}

inline __m512 tanh16(__m512 x) {
    return _mm512_fmsub_ps(_mm512_set1_ps(2.0f), sigmoid16(_mm512_add_ps(x, x)), _mm512_set1_ps(1.0f));
}

inline __m512 add(__m512 a, __m512 b) { return _mm512_add_ps(a, b); }
inline __m512 mul(__m512 a, __m512 b) { return _mm512_mul_ps(a, b); }
// a (1 - b)
inline __m512 times_rest(__m512 a, __m512 b) { return _mm512_fnmadd_ps(a, b, a); }

template <int64_t CELL>
constexpr int GROUPS = CELL == TANH ? 1 : CELL == GRU ? 3 : 4;

// The cell of 16 units from `unit` on at one position; `sums` is the product with the hidden state before.
template <int64_t CELL>
inline void step_lstm(const Recurrence& r, int64_t unit, int64_t position, const float* before, const __m512 (&sums)[4]) {
    bf16* gates = r.gates + (position * r.units + unit) * 4;
    const float* bias = r.bias + unit * 4;
    __m512 x[4];
    UNROLL
    for (int k = 0; k < 4; ++k) x[k] = add(add(sums[k], load(bias + k * LANES)), load_bf16(gates + k * LANES));
    const __m512 cell_before = load(before + unit);
    if (CELL == PEEPHOLE) {
        x[0] = _mm512_fmadd_ps(load(r.peepholes + unit), cell_before, x[0]);
        x[1] = _mm512_fmadd_ps(load(r.peepholes + r.units + unit), cell_before, x[1]);
    }
    const __m512 in = sigmoid16(x[0]), forget = sigmoid16(x[1]), candidate = tanh16(x[2]);
    const __m512 cell = _mm512_fmadd_ps(forget, cell_before, mul(in, candidate));
    if (CELL == PEEPHOLE) x[3] = _mm512_fmadd_ps(load(r.peepholes + 2 * r.units + unit), cell, x[3]);
    const __m512 out = sigmoid16(x[3]);
    store_bf16(gates, in), store_bf16(gates + LANES, forget), store_bf16(gates + 2 * LANES, candidate), store_bf16(gates + 3 * LANES, out);
    _mm512_storeu_ps(r.states + position * r.units + unit, cell);
    store_bf16(r.hidden + position * r.units + unit, mul(out, tanh16(cell)));
}

inline void step_gru(const Recurrence& r, int64_t unit, int64_t position, const float* before, const __m512 (&sums)[3]) {
    const int64_t first = (position * r.units + unit) * 3;
    bf16* gates = r.gates + first;
    const float* bias = r.bias + unit * 4;
    __m512 product[3];
    UNROLL
    for (int k = 0; k < 3; ++k) product[k] = add(sums[k], load(bias + k * LANES));
    const __m512 reset = sigmoid16(add(product[0], load_bf16(gates)));
    const __m512 update = sigmoid16(add(product[1], load_bf16(gates + LANES)));
    const __m512 fresh = tanh16(_mm512_fmadd_ps(reset, product[2], add(load_bf16(gates + 2 * LANES), load(bias + 3 * LANES))));
    const __m512 state = _mm512_fmadd_ps(update, _mm512_sub_ps(load(before + unit), fresh), fresh);
    store_bf16(gates, reset), store_bf16(gates + LANES, update), store_bf16(gates + 2 * LANES, fresh);
    store_bf16(r.recurrent + first + 2 * LANES, product[2]);
    _mm512_storeu_ps(r.states + position * r.units + unit, state);
    store_bf16(r.hidden + position * r.units + unit, state);
}

inline void step_tanh(const Recurrence& r, int64_t unit, int64_t position, const __m512 (&sums)[4]) {
    UNROLL
    for (int k = 0; k < 4; ++k, unit += LANES) {
        bf16* gates = r.gates + position * r.units + unit;
        const __m512 state = tanh16(add(add(sums[k], load(r.bias + unit)), load_bf16(gates)));
        store_bf16(gates, state);
        store_bf16(r.hidden + position * r.units + unit, state);
    }
}

// The gradients of 16 units at one position, of an LSTM by its gates and its cell before; `gradient` is by its hidden state.
template <int64_t CELL>
inline void unstep_lstm(const Recurrence& r, int64_t unit, int64_t position, const float* before, float* carried, float* peepholes, __m512 gradient) {
    bf16* gates = r.gates + (position * r.units + unit) * 4;
    const __m512 in = load_bf16(gates), forget = load_bf16(gates + LANES), candidate = load_bf16(gates + 2 * LANES);
    const __m512 out = load_bf16(gates + 3 * LANES), cell = load(r.states + position * r.units + unit), cell_before = load(before + unit);
    const __m512 squashed = tanh16(cell), by_squashed = mul(gradient, out);
    const __m512 by_out = times_rest(mul(by_squashed, squashed), out);
    __m512 by_cell = add(load(carried + unit), _mm512_fnmadd_ps(mul(by_squashed, squashed), squashed, by_squashed));
    if (CELL == PEEPHOLE) by_cell = _mm512_fmadd_ps(by_out, load(r.peepholes + 2 * r.units + unit), by_cell);
    const __m512 through_in = mul(by_cell, in), through_forget = mul(by_cell, forget);
    const __m512 by_in = times_rest(mul(through_in, candidate), in), by_forget = times_rest(mul(through_forget, cell_before), forget);
    __m512 by_before = through_forget;
    if (CELL == PEEPHOLE) {
        by_before = _mm512_fmadd_ps(by_in, load(r.peepholes + unit), by_before);
        by_before = _mm512_fmadd_ps(by_forget, load(r.peepholes + r.units + unit), by_before);
        const __m512 added[3] = {mul(by_in, cell_before), mul(by_forget, cell_before), mul(by_out, cell)};
        for (int64_t k = 0; k < 3; ++k) _mm512_storeu_ps(peepholes + k * r.units + unit, add(load(peepholes + k * r.units + unit), added[k]));
    }
    store_bf16(gates, by_in), store_bf16(gates + LANES, by_forget);
    store_bf16(gates + 2 * LANES, _mm512_fnmadd_ps(mul(through_in, candidate), candidate, through_in)), store_bf16(gates + 3 * LANES, by_out);
    _mm512_storeu_ps(carried + unit, by_before);
}

inline void unstep_gru(const Recurrence& r, int64_t unit, int64_t position, const float* before, float* carried, __m512 gradient) {
    const int64_t first = (position * r.units + unit) * 3;
    bf16 *gates = r.gates + first, *recurrent = r.recurrent + first;
    const __m512 reset = load_bf16(gates), update = load_bf16(gates + LANES), fresh = load_bf16(gates + 2 * LANES);
    gradient = add(gradient, load(carried + unit));
    const __m512 by_update = times_rest(mul(mul(gradient, _mm512_sub_ps(load(before + unit), fresh)), update), update);
    const __m512 through = times_rest(gradient, update), by_fresh = _mm512_fnmadd_ps(mul(through, fresh), fresh, through);
    const __m512 by_reset = times_rest(mul(mul(by_fresh, load_bf16(recurrent + 2 * LANES)), reset), reset);
    store_bf16(gates, by_reset), store_bf16(gates + LANES, by_update), store_bf16(gates + 2 * LANES, by_fresh);
    store_bf16(recurrent, by_reset), store_bf16(recurrent + LANES, by_update), store_bf16(recurrent + 2 * LANES, mul(by_fresh, reset));
    _mm512_storeu_ps(carried + unit, mul(gradient, update));
}

inline void unstep_tanh(const Recurrence& r, int64_t unit, int64_t position, __m512 gradient) {
    bf16* gates = r.gates + position * r.units + unit;
    const __m512 state = load_bf16(gates);
    store_bf16(gates, _mm512_fnmadd_ps(mul(gradient, state), state, gradient));
}

}  // namespace nmt::NMT_SET
