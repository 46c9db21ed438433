// Multiplicative attention of the rows of one sentence, the memory in half precision. AVX-512.
#pragma once

#include <vector>

#include "vector.h"

namespace nmt {

constexpr int MAX_QUERIES = 4;  // rows that read the memory together

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
            __m512 sums[ROWS][COUNT];
            UNROLL
            for (auto& row : sums)
                UNROLL
                for (auto& each : row) each = _mm512_setzero_ps();
            for (int64_t i = first; i < first + size; i += LANES) {
                __m512 key[COUNT];
                UNROLL
                for (int p = 0; p < COUNT; ++p) key[p] = load_half(memory.keys + (s + p) * stride + i);
                UNROLL
                for (int r = 0; r < ROWS; ++r) {
                    const __m512 query = _mm512_loadu_ps(queries[r] + i);
                    UNROLL
                    for (int p = 0; p < COUNT; ++p) sums[r][p] = _mm512_fmadd_ps(query, key[p], sums[r][p]);
                }
            }
            UNROLL
            for (int r = 0; r < ROWS; ++r)
                UNROLL
                for (int p = 0; p < COUNT; ++p) energies[r * room + s + p] = _mm512_reduce_add_ps(sums[r][p]);
        }
    };
    positions(std::integral_constant<int, 4>{});
    positions(std::integral_constant<int, 1>{});
}

// The energies of one row become weights that sum to one; `room` is a multiple of 16 and what lies beyond `length` becomes 0.
inline void softmax(float* energies, int64_t length, int64_t room) {
    for (int64_t s = length; s < room; ++s) energies[s] = -INFINITY;
    __m512 largest = _mm512_set1_ps(-INFINITY), total = _mm512_setzero_ps();
    for (int64_t s = 0; s < room; s += LANES) largest = _mm512_max_ps(largest, _mm512_loadu_ps(energies + s));
    const __m512 maximum = _mm512_set1_ps(_mm512_reduce_max_ps(largest));
    for (int64_t s = 0; s < room; s += LANES) {
        const __m512 power = exp16(_mm512_sub_ps(_mm512_loadu_ps(energies + s), maximum));
        total = _mm512_add_ps(total, power);
        _mm512_storeu_ps(energies + s, power);
    }
    const __m512 factor = _mm512_set1_ps(1.0f / _mm512_reduce_add_ps(total));
    for (int64_t s = 0; s < room; s += LANES) _mm512_storeu_ps(energies + s, _mm512_mul_ps(_mm512_loadu_ps(energies + s), factor));
}

// contexts = the mean of the values by these weights.
template <int ROWS>
inline void read_values(const float* weights, int64_t room, const SentenceMemory& memory, int64_t first, int64_t size, int64_t stride, float* const* contexts) {
    constexpr int WIDE = 4;
    int64_t i = first;
    auto stretch = [&](auto count) {
        constexpr int COUNT = decltype(count)::value;
        for (; i + COUNT * LANES <= first + size; i += COUNT * LANES) {
            __m512 sums[ROWS][COUNT];
            UNROLL
            for (auto& row : sums)
                UNROLL
                for (auto& each : row) each = _mm512_setzero_ps();
            for (int64_t s = 0; s < memory.length; ++s) {
                __m512 value[COUNT];
                UNROLL
                for (int c = 0; c < COUNT; ++c) value[c] = load_half(memory.values + s * stride + i + c * LANES);
                UNROLL
                for (int r = 0; r < ROWS; ++r) {
                    const __m512 weight = _mm512_set1_ps(weights[r * room + s]);
                    UNROLL
                    for (int c = 0; c < COUNT; ++c) sums[r][c] = _mm512_fmadd_ps(weight, value[c], sums[r][c]);
                }
            }
            UNROLL
            for (int r = 0; r < ROWS; ++r)
                UNROLL
                for (int c = 0; c < COUNT; ++c) _mm512_storeu_ps(contexts[r] + i + c * LANES, sums[r][c]);
        }
    };
    stretch(std::integral_constant<int, WIDE>{});
    stretch(std::integral_constant<int, 1>{});
}

template <int ROWS>
inline void attend(const float* const* queries, const SentenceMemory& memory, int64_t heads, int64_t size, float* const* contexts, std::vector<float>& scratch) {
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
inline void attend_sentence(const float* const* queries, int64_t rows, const SentenceMemory& memory, int64_t heads, int64_t size, float* const* contexts, std::vector<float>& scratch) {
    for (int64_t r = 0; r < rows; r += MAX_QUERIES) {
        switch (std::min<int64_t>(rows - r, MAX_QUERIES)) {
            case 1: attend<1>(queries + r, memory, heads, size, contexts + r, scratch); break;
            case 2: attend<2>(queries + r, memory, heads, size, contexts + r, scratch); break;
            case 3: attend<3>(queries + r, memory, heads, size, contexts + r, scratch); break;
            default: attend<4>(queries + r, memory, heads, size, contexts + r, scratch);
        }
    }
}

}  // namespace nmt
