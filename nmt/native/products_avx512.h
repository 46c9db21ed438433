// Products of some rows and a panel of weights with AVX512-VNNI: 64 products an instruction.
#pragma once

#include "arrays.h"
#include "lanes.h"

namespace nmt::NMT_SET {

constexpr int MAX_ROWS = 6;  // of a block: 6 x 4 sums, 4 weights and 1 input fill the 32 registers

using Steps = uint8_t;  // 128 more than the number itself
constexpr bool OFFSET = true;

// Rounded to whole numbers, which are between -127 and 127, or -128 of NaN.
inline void store_steps(Steps* to, Floats values) {
    const __m128i steps = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(values));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_xor_si128(steps, _mm_set1_epi8(static_cast<char>(0x80))));
}

// Adds sixteen sums of four products, unsigned by signed. In assembly because GCC 12 copies the sums about when it is left to it.
inline void add_products(__m512i& sums, __m512i inputs, __m512i weights) {
#ifdef NMT_EMULATED
    sums = _mm512_dpbusd_epi32(sums, inputs, weights);
#else
    asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(inputs), "v"(weights));
#endif
}

// sums [ROWS][64] of the products of ROWS rows and one panel. Never inlined: beside a function that is called, GCC 12 keeps the sums in
// memory, and each product takes twice as long.
template <int ROWS>
[[gnu::noinline]] void multiply_panel(const int8_t* weights, int64_t inputs, const Steps* const* rows, int32_t* to) {
    __m512i sums[ROWS][4];
    UNROLL
    for (auto& row : sums)
        UNROLL
        for (auto& each : row) each = _mm512_setzero_si512();
    const Steps* row[ROWS];
    UNROLL
    for (int r = 0; r < ROWS; ++r) row[r] = rows[r];
    for (int64_t i = 0; i < inputs; i += 4, weights += 256) {
        __m512i column[4];
        UNROLL
        for (int c = 0; c < 4; ++c) column[c] = _mm512_loadu_si512(weights + c * 64);
        UNROLL
        for (int r = 0; r < ROWS; ++r) {
            const __m512i input = _mm512_set1_epi32(*reinterpret_cast<const int32_t*>(row[r] + i));
            UNROLL
            for (int c = 0; c < 4; ++c) add_products(sums[r][c], input, column[c]);
        }
    }
    UNROLL
    for (int r = 0; r < ROWS; ++r)
        UNROLL
        for (int c = 0; c < 4; ++c) _mm512_store_si512(to + r * 64 + c * LANES, sums[r][c]);
}

// [rows - 1]
using Multiply = void (*)(const int8_t*, int64_t, const Steps* const*, int32_t*);
constexpr Multiply BLOCKS[MAX_ROWS] = {multiply_panel<1>, multiply_panel<2>, multiply_panel<3>, multiply_panel<4>, multiply_panel<5>, multiply_panel<6>};

}  // namespace nmt::NMT_SET
