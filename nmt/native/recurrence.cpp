// All positions of a recurrent layer in bfloat16, forwards and backwards: what training spends most of its time on.
//
// The product of all inputs and the input weights is the caller's, and so are the products that make the weights' gradients; between them
// are the steps that have to follow one another, each the product with the last hidden states and, while it is still in registers, the
// arithmetic of the cell. Rows do not know each other: each ends at its own length, and threads take some rows each.
#include <algorithm>
#include <vector>

#include "threads.h"
#include "trained_cells.h"

namespace nmt::NMT_SET {
namespace {

// Where each row of a step is.
struct Places {
    std::vector<int64_t> now;                // the position
    std::vector<const bf16*> inputs;         // of the product of this step
    std::vector<const float*> states_before;
    explicit Places(int64_t rows) : now(rows), inputs(rows), states_before(rows) {}
};

// Asks for what a step is going to read, so that it is at hand when the product is made: rows are far apart, and no hardware foresees them.
template <typename Number>
inline void fetch_ahead(const Number* numbers, int64_t count) {
    constexpr int64_t LINE = 64 / sizeof(Number);
    for (int64_t i = 0; i < count; i += LINE) _mm_prefetch(reinterpret_cast<const char*>(numbers + i), _MM_HINT_T0);
}

int64_t place(const Recurrence& r, int64_t row, int64_t time) { return row * r.width + (r.reverse ? r.lengths[row] - 1 - time : time); }

const float* states_before(const Recurrence& r, int64_t row, int64_t time) {
    return time ? r.states + place(r, row, time - 1) * r.units : r.first_states + row * r.units;
}

template <int64_t CELL>
void forwards(const Recurrence& r, int64_t thread) {
    constexpr int GROUP = GROUPS<CELL>, REGISTERS = CELL == GRU ? 3 : 4;
    const HalfMatrix matrix{r.weights, r.units, GROUP * r.units};
    Places places(r.rows);
    std::vector<int64_t> active;
    for (int64_t time = 0; time < r.width; ++time) {
        active.clear();
        for (int64_t row = thread; row < r.rows; row += r.threads) {
            if (r.lengths[row] <= time) {
                std::fill_n(r.hidden + (row * r.width + time) * r.units, r.units, bf16{0});
                continue;
            }
            active.push_back(row);
            places.inputs[row] = time ? r.hidden + places.now[row] * r.units : r.first_hidden + row * r.units;
            places.now[row] = place(r, row, time);
            places.states_before[row] = states_before(r, row, time);
        }
        auto fetch = [&](int64_t panel, int64_t row) {
            fetch_ahead(r.gates + places.now[row] * matrix.columns + panel * REGISTERS * LANES, REGISTERS * LANES);
            if (CELL != TANH) fetch_ahead(places.states_before[row] + panel * LANES, LANES);
        };
        multiply_bf16<REGISTERS>(matrix, places.inputs.data(), active.data(), active.size(), fetch, [&](int64_t panel, int64_t row, __m512(&sums)[REGISTERS]) {
            const int64_t position = places.now[row];
            if constexpr (CELL == TANH) step_tanh(r, panel * 4 * LANES, position, sums);
            else if constexpr (CELL == GRU) step_gru(r, panel * LANES, position, places.states_before[row], sums);
            else step_lstm<CELL>(r, panel * LANES, position, places.states_before[row], sums);
        });
    }
}

template <int64_t CELL>
void backwards(const Recurrence& r, int64_t thread) {
    constexpr int GROUP = GROUPS<CELL>;
    const int64_t gates = GROUP * r.units;
    const HalfMatrix matrix{r.weights, gates, r.units};
    auto nothing = [](int64_t, int64_t) {};  // to fetch: these products are long enough to hide it without
    Places places(r.rows);
    std::vector<int64_t> last, others, all;  // rows whose last position this is, that go on after it
    auto unstep = [&](int64_t panel, int64_t row, __m512(&sums)[4]) {
        const int64_t position = places.now[row];
        float* carried = r.carried + row * r.units;
        float* peepholes = CELL == PEEPHOLE ? r.peephole_gradients + row * 3 * r.units : nullptr;
        UNROLL
        for (int k = 0; k < 4; ++k) {
            const int64_t unit = (panel * 4 + k) * LANES;
            const __m512 gradient = add(sums[k], load_bf16(r.gradients + position * r.units + unit));
            if constexpr (CELL == TANH) unstep_tanh(r, unit, position, gradient);
            else if constexpr (CELL == GRU) unstep_gru(r, unit, position, places.states_before[row], carried, gradient);
            else unstep_lstm<CELL>(r, unit, position, places.states_before[row], carried, peepholes, gradient);
        }
    };
    for (int64_t row = thread; row < r.rows; row += r.threads) all.push_back(row);
    for (int64_t time = r.width - 1; time >= 0; --time) {
        last.clear(), others.clear();
        for (const int64_t row : all) {
            if (r.lengths[row] <= time) {
                std::fill_n(r.gates + (row * r.width + time) * gates, gates, bf16{0});
                if (CELL == GRU) std::fill_n(r.recurrent + (row * r.width + time) * gates, gates, bf16{0});
                continue;
            }
            (r.lengths[row] - 1 == time ? last : others).push_back(row);
            places.inputs[row] = r.recurrent + places.now[row] * gates;
            places.now[row] = place(r, row, time);
            places.states_before[row] = states_before(r, row, time);
        }
        for (const int64_t row : last) {
            __m512 zeros[4] = {};
            for (int64_t panel = 0; panel < r.units / (4 * LANES); ++panel) unstep(panel, row, zeros);
        }
        multiply_bf16<4>(matrix, places.inputs.data(), others.data(), others.size(), nothing, unstep);
    }
    for (const int64_t row : all) places.inputs[row] = r.recurrent + places.now[row] * gates;
    multiply_bf16<4>(matrix, places.inputs.data(), all.data(), all.size(), nothing, [&](int64_t panel, int64_t row, __m512(&sums)[4]) {
        UNROLL
        for (int k = 0; k < 4; ++k) _mm512_storeu_ps(r.first_gradients + row * r.units + (panel * 4 + k) * LANES, sums[k]);
    });
}

// [gates / panel][units / 2][panel][2] from [gates][units]: pairs of units by panels of gates.
void panels_of_gates(const int32_t* weights, int64_t gates, int64_t pairs, int64_t panel, int32_t* panels) {
    const __m512i rows = _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), _mm512_set1_epi32(pairs));
    for (int64_t gate = 0; gate < gates; gate += LANES) {
        const int32_t* from = weights + gate * pairs;
        int32_t* to = panels + gate / panel * panel * pairs + gate % panel;
        for (int64_t pair = 0; pair < pairs; ++pair, to += panel) _mm512_storeu_si512(to, _mm512_i32gather_epi32(rows, from + pair, 4));
    }
}

// [units / panel][gates / 2][panel][2] from [gates][units]: pairs of gates by panels of units.
void panels_of_units(const bf16* weights, int64_t gates, int64_t units, int64_t panel, int32_t* panels) {
    for (int64_t gate = 0; gate < gates; gate += 2) {
        const bf16* from = weights + gate * units;
        for (int64_t unit = 0; unit < units; unit += LANES, from += LANES) {
            const __m512i first = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
            const __m512i second = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + units)));
            int32_t* to = panels + (unit / panel * (gates / 2) + gate / 2) * panel + unit % panel;
            _mm512_storeu_si512(to, _mm512_or_si512(first, _mm512_slli_epi32(second, 16)));
        }
    }
}

// Over all rows of [rows][columns], the columns a multiple of 16.
void add_rows(const bf16* values, int64_t rows, int64_t columns, float* sums) {
    std::fill_n(sums, columns, 0.0f);
    constexpr int64_t AT_ONCE = 4;
    for (; rows > 0; rows -= AT_ONCE, values += AT_ONCE * columns) {
        for (int64_t i = 0; i < columns; i += LANES) {
            __m512 sum = load(sums + i);
            for (int64_t k = 0; k < std::min(rows, AT_ONCE); ++k) sum = add(sum, load_bf16(values + k * columns + i));
            _mm512_storeu_ps(sums + i, sum);
        }
    }
}

using Slice = void (*)(const Recurrence&, int64_t);

}  // namespace
}  // namespace nmt::NMT_SET

using namespace nmt;
using namespace nmt::NMT_SET;

extern "C" {

// Recurrent weights [gates][units] as the passes read them: forwards in panels of gates, backwards in panels of units.
void nmt_recurrence_panels(const bf16* weights, int64_t gates, int64_t units, int64_t panel, int64_t backwards, bf16* panels) {
    int32_t* pairs = reinterpret_cast<int32_t*>(panels);
    if (backwards) panels_of_units(weights, gates, units, panel, pairs);
    else panels_of_gates(reinterpret_cast<const int32_t*>(weights), gates, units / 2, panel, pairs);
}

// The hidden states of all positions; those behind a row's length become 0.
void nmt_recurrence_forward(const Recurrence* r) {
    constexpr Slice SLICES[] = {forwards<LSTM>, forwards<PEEPHOLE>, forwards<GRU>, forwards<TANH>};
    in_threads(r->threads, [r, slice = SLICES[r->cell]](int64_t thread) { slice(*r, thread); });
}

// Of each gate over all positions, in fp32.
void nmt_recurrence_sums(const bf16* gates, int64_t positions, int64_t size, float* sums) { add_rows(gates, positions, size, sums); }

// The gradients by the gates; those behind a row's length become 0.
void nmt_recurrence_backward(const Recurrence* r) {
    constexpr Slice SLICES[] = {backwards<LSTM>, backwards<PEEPHOLE>, backwards<GRU>, backwards<TANH>};
    in_threads(r->threads, [r, slice = SLICES[r->cell]](int64_t thread) { slice(*r, thread); });
}

}  // extern "C"
