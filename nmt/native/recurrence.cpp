// All positions of a recurrent layer in bfloat16, forwards and backwards: what training spends most of its time on.
//
// The product of all inputs and the input weights is the caller's, and so are the products that make the weights' gradients; between them
// are the steps that have to follow one another, each the product with the last hidden states and, while it is still in registers, the
// arithmetic of the cell. Rows do not know each other: each ends at its own length, and threads take some rows each.
#include <algorithm>
#include <system_error>
#include <thread>
#include <vector>

#include "trained_cells.h"

namespace nmt {
namespace {

// Where each row of a step is.
struct Places {
    std::vector<int64_t> now;                // the position
    std::vector<const bf16*> inputs;         // of the product of this step
    std::vector<const float*> states_before;
    explicit Places(int64_t rows) : now(rows), inputs(rows), states_before(rows) {}
};

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
        multiply_bf16<REGISTERS>(matrix, places.inputs.data(), active.data(), active.size(), [&](int64_t panel, int64_t row, __m512(&sums)[REGISTERS]) {
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
        multiply_bf16<4>(matrix, places.inputs.data(), others.data(), others.size(), unstep);
    }
    for (const int64_t row : all) places.inputs[row] = r.recurrent + places.now[row] * gates;
    multiply_bf16<4>(matrix, places.inputs.data(), all.data(), all.size(), [&](int64_t panel, int64_t row, __m512(&sums)[4]) {
        UNROLL
        for (int k = 0; k < 4; ++k) _mm512_storeu_ps(r.first_gradients + row * r.units + (panel * 4 + k) * LANES, sums[k]);
    });
}

using Slice = void (*)(const Recurrence&, int64_t);

void in_threads(const Recurrence& r, Slice work) {
    std::vector<std::thread> others;
    int64_t started = 1;
    try {
        for (; started < r.threads; ++started) others.emplace_back(work, std::cref(r), started);
    } catch (const std::system_error&) {  // the system gives no more threads: this one does their part
    }
    for (int64_t thread = started; thread < r.threads; ++thread) work(r, thread);
    work(r, 0);
    for (std::thread& other : others) other.join();
}

}  // namespace
}  // namespace nmt

using namespace nmt;

extern "C" {

// The hidden states of all positions; those behind a row's length become 0.
void nmt_recurrence_forward(const Recurrence* r) {
    constexpr Slice SLICES[] = {forwards<LSTM>, forwards<PEEPHOLE>, forwards<GRU>, forwards<TANH>};
    in_threads(*r, SLICES[r->cell]);
}

// The gradients by the gates; those behind a row's length become 0.
void nmt_recurrence_backward(const Recurrence* r) {
    constexpr Slice SLICES[] = {backwards<LSTM>, backwards<PEEPHOLE>, backwards<GRU>, backwards<TANH>};
    in_threads(*r, SLICES[r->cell]);
}

}  // extern "C"
