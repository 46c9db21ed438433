// Products of some rows and a panel of weights with AVX2.
//
// Its own product of bytes saturates. So both sides are widened to 16 bits, whose products are summed in 32 bits: exactly.
#pragma once

#include "arrays.h"
#include "lanes.h"

namespace nmt::NMT_SET {

constexpr int MAX_ROWS = 2;  // of a block: 2 x 4 sums, 2 inputs, 1 of weights and 1 of products leave 4 of the 16 registers

using Steps = int16_t;
constexpr bool OFFSET = false;

// Rounded to whole numbers, which are between -127 and 127, or -128 of NaN.
inline void store_steps(Steps* to, Floats values) {
    const __m256i mixed = _mm256_packs_epi32(_mm256_cvtps_epi32(values.low), _mm256_cvtps_epi32(values.high));
    const __m256i steps = _mm256_permute4x64_epi64(mixed, 0b11011000);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_max_epi16(steps, _mm256_set1_epi16(-128)));
}

// In assembly because GCC 12 copies the sums about, or keeps some in memory, when it is left to it.
inline void add_to(__m256i& sums, __m256i products) { asm("vpaddd %1, %0, %0" : "+x"(sums) : "x"(products)); }

// The sums of sixteen columns: each of `pairs` holds four columns, of each the sum over even and over odd pairs of inputs.
inline void store_sums(int32_t* to, const __m256i (&pairs)[4]) {
    UNROLL
    for (int half = 0; half < 2; ++half) {
        const __m256i mixed = _mm256_hadd_epi32(pairs[2 * half], pairs[2 * half + 1]);
        _mm256_store_si256(reinterpret_cast<__m256i*>(to + 8 * half), _mm256_permute4x64_epi64(mixed, 0b11011000));
    }
}

// sums [ROWS][64] of the products of ROWS rows and one panel, sixteen columns after the other: the registers hold no more.
template <int ROWS>
[[gnu::noinline]] void multiply_panel(const int8_t* weights, int64_t inputs, const Steps* const* rows, int32_t* to) {
    for (int column = 0; column < 64; column += LANES) {
        __m256i sums[ROWS][4];
        UNROLL
        for (auto& row : sums)
            UNROLL
            for (auto& each : row) each = _mm256_setzero_si256();
        const Steps* row[ROWS];
        UNROLL
        for (int r = 0; r < ROWS; ++r) row[r] = rows[r];
        const int8_t* from = weights + 4 * column;
        for (int64_t i = 0; i < inputs; i += 4, from += 256) {
            __m256i input[ROWS];
            UNROLL
            for (int r = 0; r < ROWS; ++r) input[r] = _mm256_set1_epi64x(*reinterpret_cast<const int64_t*>(row[r] + i));
            UNROLL
            for (int c = 0; c < 4; ++c) {
                const __m256i four = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + c * 16)));
                UNROLL
                for (int r = 0; r < ROWS; ++r) add_to(sums[r][c], _mm256_madd_epi16(input[r], four));
            }
        }
        UNROLL
        for (int r = 0; r < ROWS; ++r) store_sums(to + r * 64 + column, sums[r]);
    }
}

// [rows - 1]
using Multiply = void (*)(const int8_t*, int64_t, const Steps* const*, int32_t*);
constexpr Multiply BLOCKS[MAX_ROWS] = {multiply_panel<1>, multiply_panel<2>};

}  // namespace nmt::NMT_SET
