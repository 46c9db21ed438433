// Products of some rows and a panel of weights with AVX-VNNI: as with AVX512-VNNI, in registers half as wide and half as many.
#pragma once

#include "arrays.h"
#include "lanes.h"

namespace nmt::NMT_SET {

constexpr int MAX_ROWS = 3;  // of a block: 3 x 4 sums, 3 inputs and 1 of weights fill the 16 registers

using Steps = uint8_t;  // 128 more than the number itself
constexpr bool OFFSET = true;

// Rounded to whole numbers, which are between -127 and 127, or -128 of NaN.
inline void store_steps(Steps* to, Floats values) {
    const __m256i mixed = _mm256_packs_epi32(_mm256_cvtps_epi32(values.low), _mm256_cvtps_epi32(values.high));
    const __m256i halves = _mm256_permute4x64_epi64(mixed, 0b11011000);
    const __m128i steps = _mm_packs_epi16(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_xor_si128(steps, _mm_set1_epi8(static_cast<char>(0x80))));
}

// sums [ROWS][64] of the products of ROWS rows and one panel, 32 columns after the other.
template <int ROWS>
[[gnu::noinline]] void multiply_panel(const int8_t* weights, int64_t inputs, const Steps* const* rows, int32_t* to) {
    for (int column = 0; column < 64; column += 32) {
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
            for (int r = 0; r < ROWS; ++r) input[r] = _mm256_set1_epi32(*reinterpret_cast<const int32_t*>(row[r] + i));
            UNROLL
            for (int c = 0; c < 4; ++c) {
                const __m256i eight = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + c * 32));
                UNROLL
                for (int r = 0; r < ROWS; ++r) asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sums[r][c]) : "x"(input[r]), "x"(eight));
            }
        }
        UNROLL
        for (int r = 0; r < ROWS; ++r)
            UNROLL
            for (int c = 0; c < 4; ++c) _mm256_store_si256(reinterpret_cast<__m256i*>(to + r * 64 + column + c * 8), sums[r][c]);
    }
}

// [rows - 1]
using Multiply = void (*)(const int8_t*, int64_t, const Steps* const*, int32_t*);
constexpr Multiply BLOCKS[MAX_ROWS] = {multiply_panel<1>, multiply_panel<2>, multiply_panel<3>};

}  // namespace nmt::NMT_SET
