// The network in 8 bits: reading a batch of sources, one decoder step. Called from nmt/engines/compiled/engine.py by way of dispatch.cpp.
#include "engine.h"

#include "attention.h"
#include "cells.h"

namespace nmt::NMT_SET {

namespace {

int64_t piece(const Memory& memory, int64_t sentence, int64_t column) {
    return memory.candidates ? memory.candidates[sentence * memory.width + column] : column;
}

void add(float* values, const float* others, int64_t size) {
    for (int64_t i = 0; i < size; i += LANES)
        store(values + i, load(values + i) + load(others + i));
}

// One direction of one layer. Sentences come longest first, so that the ones still being read are always the first: padding does not exist.
void read_direction(const Cell& weights, int64_t sentences, const int64_t* order, const int64_t* offsets, const uint16_t* table,
                    const int64_t* entries, bool backwards, float* states, int64_t stride) {
    const int64_t units = weights.units;
    Buffer<float> cells(sentences * units, 0.0f), nothing(units, 0.0f);
    Buffer<int64_t> before(sentences);
    Inputs inputs;
    inputs.resize(sentences, units);
    Rows rows;
    rows.resize(sentences);
    for (int64_t time = 0, active = sentences;; ++time) {
        while (active && offsets[order[active - 1] + 1] - offsets[order[active - 1]] <= time) --active;
        if (!active) return;
        for (int64_t row = 0; row < active; ++row) {
            const int64_t start = offsets[order[row]], end = offsets[order[row] + 1];
            const int64_t position = backwards ? end - 1 - time : start + time;
            const float* hidden = time ? states + before[row] * stride : nothing.data();
            before[row] = position;
            inputs.scales[row] = quantise<1>({{hidden, static_cast<int>(units)}}, inputs.row(row));
            rows.added[row] = table + (entries ? entries[position] : position) * weights.gates.columns;
            rows.hidden_before[row] = hidden;
            rows.hidden[row] = states + position * stride;
            rows.cell_before[row] = rows.cell[row] = cells.data() + row * units;
        }
        step_cell(weights, inputs, active, rows);
    }
}

// outputs [rows][columns] = inputs [rows][matrix.inputs] W' + b.
template <typename Number>
void quantise_and_multiply(const Matrix& matrix, const float* inputs, int64_t rows, Number* outputs) {
    Inputs quantised;
    quantised.fill(inputs, rows, matrix.inputs);
    linear(matrix, quantised, rows, outputs);
}

void attend(const Decoder& decoder, const Memory& memory, const Step& step, const float* queries, float* contexts) {
    const int64_t H = decoder.hidden, beam = step.rows / step.sentences;
    Buffer<const float*> query(beam);
    Buffer<float*> context(beam);
    Buffer<float> scratch;
    for (int64_t b = 0; b < step.sentences; ++b) {
        const int64_t start = memory.offsets[step.sentence[b]], end = memory.offsets[step.sentence[b] + 1];
        for (int64_t k = 0; k < beam; ++k) query[k] = queries + (b * beam + k) * H, context[k] = contexts + (b * beam + k) * H;
        attend_sentence(query.data(), beam, {memory.keys + start * H, memory.values + start * H, end - start}, decoder.heads, H,
                        context.data(), scratch);
    }
}

// The first column, PAD's, stands for the pieces that are no candidates: what nmt/engines/packed/short_output.py adds to their mean.
void count_others(const Memory& memory, const Step& step, const float* vectors, int64_t size) {
    const int64_t beam = step.rows / step.sentences;
    for (int64_t row = 0; row < step.rows; ++row) {
        Floats squares = zeros();
        for (int64_t i = 0; i < size; i += LANES) {
            const Floats values = load(vectors + row * size + i);
            squares = fmadd(values, values, squares);
        }
        step.logits[row * memory.width] += memory.others[step.sentence[row / beam]] + memory.half_variance * sum_of(squares);
    }
}

// The logits of a step under a shortlist: each row gets those of its sentence's candidates, one after the other, then -inf. A panel of the
// output layer is computed for the rows that have candidates in it. `inputs` are the `vectors` in bytes.
void write_candidates(const Matrix& output, const Memory& memory, const Step& step, const Inputs& inputs, const float* vectors) {
    const int64_t beam = step.rows / step.sentences, panels = output.columns / PANEL;
    auto allowed = [&](int64_t panel, int64_t row) { return memory.allowed[step.sentence[row / beam] * panels + panel]; };
    Buffer<float*> next(step.rows);  // where each row's next logits go
    for (int64_t row = 0; row < step.rows; ++row) next[row] = step.logits + row * memory.width;
    Buffer<int64_t> rows;
    ForMany aids(step.rows);
    for (int64_t panel = 0; panel < panels; ++panel) {
        rows.clear();
        for (int64_t row = 0; row < step.rows; ++row)
            if (allowed(panel, row)) rows.push_back(row);
        multiply_rows(output, panel, inputs, rows.data(), rows.size(), aids, [&](int64_t, int64_t row, const Floats (&products)[REGISTERS]) {
            const uint64_t bits = allowed(panel, row);
            const float* end = step.logits + (row + 1) * memory.width;
            UNROLL
            for (int c = 0; c < REGISTERS; ++c) {
                const Floats logits = products[c] + load(output.bias + panel * PANEL + c * LANES);
                next[row] = store_some(next[row], end, logits, static_cast<uint16_t>(bits >> (LANES * c)));
            }
        });
    }
    for (int64_t row = 0; row < step.rows; ++row) std::fill(next[row], step.logits + (row + 1) * memory.width, -INFINITY);
    count_others(memory, step, vectors, output.inputs);
}

}  // namespace

void linear_rows(const Matrix& matrix, const float* inputs, int64_t rows, float* outputs) {
    quantise_and_multiply(matrix, inputs, rows, outputs);
}

void linear_rows_half(const Matrix& matrix, const float* inputs, int64_t rows, uint16_t* outputs) {
    quantise_and_multiply(matrix, inputs, rows, outputs);
}

int64_t encode(const Encoder& encoder, int64_t sentences, const int64_t* order, const int64_t* offsets, const int64_t* pieces, float* states,
                uint16_t* halves) {
    const int64_t none = first_beyond(pieces, offsets[sentences], encoder.pieces);
    if (none >= 0) return none;
    const int64_t H = encoder.hidden, half = H / 2, positions = offsets[sentences];
    Buffer<uint16_t> gates;
    Buffer<float> below;
    for (int64_t layer = 0; layer < encoder.layers; ++layer) {
        if (layer) below.assign(states, states + positions * H);
        for (int64_t direction = 0; direction < 2; ++direction) {
            if (layer) {  // the part of the gates that the layer below makes, for all positions at once
                const Matrix& matrix = encoder.inputs[(layer - 1) * 2 + direction];
                gates.resize(positions * matrix.columns);
                quantise_and_multiply(matrix, below.data(), positions, gates.data());
            }
            read_direction(encoder.cells[layer * 2 + direction], sentences, order, offsets, layer ? gates.data() : encoder.tables[direction],
                           layer ? nullptr : pieces, direction == 1, states + direction * half, H);
        }
        if (layer) add(states, below.data(), positions * H);
    }
    for (int64_t i = 0; i < positions * H; i += LANES) store(halves + i, load(states + i));
    return -1;
}

int64_t step(const Decoder& decoder, const Matrix& output, const Memory& memory, const Step& step) {
    const int64_t none = first_beyond(step.pieces, step.rows, memory.candidates ? memory.width : decoder.pieces);
    if (none >= 0) return none;
    const int64_t H = decoder.hidden, N = step.rows, beam = N / step.sentences;
    const int size = static_cast<int>(H);
    const int64_t parts = state_parts(decoder.cells[0]);
    Buffer<float> sums(N * H), contexts(N * H), vectors(N * decoder.combine->columns);  // sums: of the layers' states so far
    Inputs inputs;
    inputs.resize(N, 3 * H);
    Rows rows;
    rows.resize(N);
    for (int64_t layer = 0; layer < decoder.layers; ++layer) {
        const Cell& weights = decoder.cells[layer];
        inputs.width = weights.gates.inputs;
        for (int64_t n = 0; n < N; ++n) {
            const int64_t parent = step.parents ? step.parents[n] : n;
            const float* hidden = step.before + (layer * parts * step.rows_before + parent) * H;
            rows.hidden_before[n] = hidden;
            rows.cell_before[n] = hidden + step.rows_before * H;
            rows.hidden[n] = step.after + (layer * parts * N + n) * H;
            rows.cell[n] = rows.hidden[n] + N * H;
            rows.added[n] = layer ? weights.bias : decoder.table + piece(memory, step.sentence[n / beam], step.pieces[n]) * weights.gates.columns;
            inputs.scales[n] = layer ? quantise<3>({{sums.data() + n * H, size}, {contexts.data() + n * H, size}, {hidden, size}}, inputs.row(n))
                                     : quantise<1>({{hidden, size}}, inputs.row(n));
        }
        step_cell(weights, inputs, N, rows);
        const float* states = step.after + layer * parts * N * H;
        if (layer) {
            add(sums.data(), states, N * H);
        } else {
            std::copy(states, states + N * H, sums.begin());
            attend(decoder, memory, step, states, contexts.data());
        }
    }
    inputs.width = 2 * H;
    for (int64_t n = 0; n < N; ++n) inputs.scales[n] = quantise<2>({{sums.data() + n * H, size}, {contexts.data() + n * H, size}}, inputs.row(n));
    linear(*decoder.combine, inputs, N, vectors.data());
    inputs.fill(vectors.data(), N, output.inputs);
    if (memory.candidates) write_candidates(output, memory, step, inputs, vectors.data());
    else linear(output, inputs, N, step.logits);
    return -1;
}

extern const Functions FUNCTIONS{linear_rows, linear_rows_half, encode, step, greedy, best_pieces, advance};

}  // namespace nmt::NMT_SET
