// Products of bfloat16 vectors, summed in fp32. AVX512-BF16.
#pragma once

#include "vector.h"

namespace nmt::NMT_SET {

inline float bf16_value(bf16 number) { return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(static_cast<int>(number) << 16))); }

// Weights in panels of REGISTERS * 16 columns, pairs of inputs by pairs: [columns / panel][inputs / 2][panel][2].
struct HalfMatrix {
    const bf16* weights;
    int64_t inputs;   // a multiple of 2
    int64_t columns;  // a multiple of the panel
};

// In assembly, as in matrix.h; no compiler flag is needed for it either.
inline void add_bf16_products(__m512& sums, __m512 inputs, __m512 weights) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sums) : "v"(inputs), "v"(weights));
}

inline __m512 widened(__m256i values) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(values), 16)); }

// Rounded to the nearest, ties to even.
inline __m256i narrowed(__m512 numbers) {
    __m256i rounded;
    asm("vcvtneps2bf16 %1, %0" : "=v"(rounded) : "v"(numbers));
    return rounded;
}

inline __m512 load_bf16(const bf16* values) { return widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(values))); }
inline void store_bf16(bf16* values, __m512 numbers) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(values), narrowed(numbers)); }

inline bf16 bf16_of(float number) { return static_cast<bf16>(_mm256_extract_epi16(narrowed(_mm512_set1_ps(number)), 0)); }

// Some of sixteen: the others read as 0, and are not written.
inline __m512 load_bf16(const bf16* values, __mmask16 lanes) { return widened(_mm256_maskz_loadu_epi16(lanes, values)); }
inline void store_bf16(bf16* values, __m512 numbers, __mmask16 lanes) { _mm256_mask_storeu_epi16(values, lanes, narrowed(numbers)); }

// use(panel, row, products) for ROWS rows of `rows`, each the inputs[row], and one panel; before the products are made, fetch(panel, row).
template <int ROWS, int REGISTERS, typename Fetch, typename Use>
inline void multiply_bf16_block(const HalfMatrix& matrix, int64_t panel, const bf16* const* inputs, const int64_t* rows, Fetch&& fetch, Use&& use) {
    constexpr int64_t PANEL = REGISTERS * LANES;
    __m512 sums[ROWS][REGISTERS];
    UNROLL
    for (auto& row : sums)
        UNROLL
        for (int c = 0; c < REGISTERS; ++c) row[c] = _mm512_setzero_ps();
    const bf16* weights = matrix.weights + panel * matrix.inputs * PANEL;
    const bf16* row[ROWS];
    UNROLL
    for (int r = 0; r < ROWS; ++r) row[r] = inputs[rows[r]], fetch(panel, rows[r]);
    for (int64_t i = 0; i < matrix.inputs; i += 2, weights += 2 * PANEL) {
        __m512 column[REGISTERS];
        UNROLL
        for (int c = 0; c < REGISTERS; ++c) column[c] = _mm512_loadu_ps(weights + c * 2 * LANES);
        UNROLL
        for (int r = 0; r < ROWS; ++r) {
            const __m512 input = _mm512_castsi512_ps(_mm512_set1_epi32(*reinterpret_cast<const int32_t*>(row[r] + i)));
            UNROLL
            for (int c = 0; c < REGISTERS; ++c) add_bf16_products(sums[r][c], input, column[c]);
        }
    }
    UNROLL
    for (int r = 0; r < ROWS; ++r) use(panel, rows[r], sums[r]);
}

// The same for the `count` rows that are left, at most MOST of them.
template <int MOST, int REGISTERS, typename Fetch, typename Use>
inline void multiply_bf16_rest(const HalfMatrix& matrix, int64_t panel, const bf16* const* inputs, const int64_t* rows, int64_t count, Fetch&& fetch, Use&& use) {
    if constexpr (MOST > 0) {
        if (count == MOST) return multiply_bf16_block<MOST, REGISTERS>(matrix, panel, inputs, rows, fetch, use);
        multiply_bf16_rest<MOST - 1, REGISTERS>(matrix, panel, inputs, rows, count, fetch, use);
    }
}

// The same for all `count` rows and all panels, one after the other: a panel stays in the core's own cache while all rows pass by.
template <int REGISTERS, typename Fetch, typename Use>
inline void multiply_bf16(const HalfMatrix& matrix, const bf16* const* inputs, const int64_t* rows, int64_t count, Fetch&& fetch, Use&& use) {
    constexpr int MOST = 24 / REGISTERS;  // 24 registers of sums leave 8 for weights and inputs
    for (int64_t panel = 0; panel < matrix.columns / (REGISTERS * LANES); ++panel) {
        const int64_t* row = rows;
        int64_t left = count;
        for (; left >= MOST; left -= MOST, row += MOST) multiply_bf16_block<MOST, REGISTERS>(matrix, panel, inputs, row, fetch, use);
        multiply_bf16_rest<MOST - 1, REGISTERS>(matrix, panel, inputs, row, left, fetch, use);
    }
}

}  // namespace nmt::NMT_SET
