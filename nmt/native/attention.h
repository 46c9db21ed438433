// Multiplicative attention of the rows of one sentence, the memory in half precision.
#pragma once

#include <algorithm>
#include <type_traits>

#include "vector.h"

namespace nmt::NMT_SET {

constexpr int MAX_QUERIES = 4;  // rows that read the memory together

// Positions, or vectors of sixteen numbers, that these rows read at a time: as many as there are registers for their sums.
template <int ROWS>
constexpr int AT_ONCE = SUMS >= 16 ? 4 : ROWS == 1 ? 4 : ROWS == 2 ? 2 : 1;

// The memory of one sentence; keys hold the scale of the energies.
struct SentenceMemory {
    const uint16_t* keys;    // [length][size], half precision
    const uint16_t* values;  // [length][size]
    int64_t length;
};

// energies [row][length] = q . k over `size` numbers that begin at `first` of rows of `stride`.
template <int ROWS>
inline void read_energies(const float* const* queries, const SentenceMemory& memory, int64_t first, int64_t size, int64_t stride, float* energies, int64_t room) {
    int64_t s = 0;
    auto positions = [&](auto count) {
        constexpr int COUNT = decltype(count)::value;
        for (; s + COUNT <= memory.length; s += COUNT) {
            Floats sums[ROWS][COUNT];
            UNROLL
            for (auto& row : sums)
                UNROLL
                for (auto& each : row) each = zeros();
            for (int64_t i = first; i < first + size; i += LANES) {
                Floats key[COUNT];
                UNROLL
                for (int p = 0; p < COUNT; ++p) key[p] = load_half(memory.keys + (s + p) * stride + i);
                UNROLL
                for (int r = 0; r < ROWS; ++r) {
                    const Floats query = load(queries[r] + i);
                    UNROLL
                    for (int p = 0; p < COUNT; ++p) sums[r][p] = fmadd(query, key[p], sums[r][p]);
                }
            }
            UNROLL
            for (int r = 0; r < ROWS; ++r)
                UNROLL
                for (int p = 0; p < COUNT; ++p) energies[r * room + s + p] = sum_of(sums[r][p]);
        }
    };
    positions(std::integral_constant<int, AT_ONCE<ROWS>>{});
    positions(std::integral_constant<int, 1>{});
}

// The energies of one row become weights that sum to one; `room` is a multiple of 16 and what lies beyond `length` becomes 0.
inline void softmax(float* energies, int64_t length, int64_t room) {
    for (int64_t s = length; s < room; ++s) energies[s] = -INFINITY;
    Floats most = all(-INFINITY), total = zeros();
    for (int64_t s = 0; s < room; s += LANES) most = largest(most, load(energies + s));
    const Floats maximum = all(largest_of(most));
    for (int64_t s = 0; s < room; s += LANES) {
        const Floats power = exp16(load(energies + s) - maximum);
        total = total + power;
        store(energies + s, power);
    }
    const Floats factor = all(1.0f / sum_of(total));
    for (int64_t s = 0; s < room; s += LANES) store(energies + s, load(energies + s) * factor);
}

// contexts = the mean of the values by these weights.
template <int ROWS>
inline void read_values(const float* weights, int64_t room, const SentenceMemory& memory, int64_t first, int64_t size, int64_t stride, float* const* contexts) {
    int64_t i = first;
    auto stretch = [&](auto count) {
        constexpr int COUNT = decltype(count)::value;
        for (; i + COUNT * LANES <= first + size; i += COUNT * LANES) {
            Floats sums[ROWS][COUNT];
            UNROLL
            for (auto& row : sums)
                UNROLL
                for (auto& each : row) each = zeros();
            for (int64_t s = 0; s < memory.length; ++s) {
                Floats value[COUNT];
                UNROLL
                for (int c = 0; c < COUNT; ++c) value[c] = load_half(memory.values + s * stride + i + c * LANES);
                UNROLL
                for (int r = 0; r < ROWS; ++r) {
                    const Floats weight = all(weights[r * room + s]);
                    UNROLL
                    for (int c = 0; c < COUNT; ++c) sums[r][c] = fmadd(weight, value[c], sums[r][c]);
                }
            }
            UNROLL
            for (int r = 0; r < ROWS; ++r)
                UNROLL
                for (int c = 0; c < COUNT; ++c) store(contexts[r] + i + c * LANES, sums[r][c]);
        }
    };
    stretch(std::integral_constant<int, AT_ONCE<ROWS>>{});
    stretch(std::integral_constant<int, 1>{});
}

template <int ROWS>
inline void attend(const float* const* queries, const SentenceMemory& memory, int64_t heads, int64_t size, float* const* contexts, Buffer<float>& scratch) {
    const int64_t room = (memory.length + LANES - 1) / LANES * LANES, part = size / heads;
    scratch.resize(ROWS * room);
    for (int64_t head = 0; head < heads; ++head) {
        read_energies<ROWS>(queries, memory, head * part, part, size, scratch.data(), room);
        UNROLL
        for (int r = 0; r < ROWS; ++r) softmax(scratch.data() + r * room, memory.length, room);
        read_values<ROWS>(scratch.data(), room, memory, head * part, part, size, contexts);
    }
}

// All rows of one sentence: queries and contexts are vectors of `size` numbers, a multiple of 16 for each head.
inline void attend_sentence(const float* const* queries, int64_t rows, const SentenceMemory& memory, int64_t heads, int64_t size, float* const* contexts, Buffer<float>& scratch) {
    for (int64_t r = 0; r < rows; r += MAX_QUERIES) {
        switch (std::min<int64_t>(rows - r, MAX_QUERIES)) {
            case 1: attend<1>(queries + r, memory, heads, size, contexts + r, scratch); break;
            case 2: attend<2>(queries + r, memory, heads, size, contexts + r, scratch); break;
            case 3: attend<3>(queries + r, memory, heads, size, contexts + r, scratch); break;
            default: attend<4>(queries + r, memory, heads, size, contexts + r, scratch);
        }
    }
}

}  // namespace nmt::NMT_SET
