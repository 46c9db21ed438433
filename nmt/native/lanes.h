// Sixteen numbers at a time, with the registers of the instruction set that this file is compiled for: the only place, with products_*.h, that
// knows them. Each file of the engine is compiled once for each set, in a namespace of that set; dispatch.cpp has the one that is used.
//
// Every operation is the same on all sets, to the bit: what the engine computes does not depend on the processor.
#pragma once

#ifdef NMT_EMULATED  // tests emulate AVX-512 on other processors
#include <simde/x86/avx512.h>
#endif
#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace nmt {

constexpr int LANES = 16;

// Before a loop over registers: unrolled, or the compiler keeps them in memory.
#define UNROLL _Pragma("GCC unroll 8")

}  // namespace nmt

#if defined(__AVX512F__) || defined(NMT_EMULATED)
#include "lanes_avx512.h"
#else
#include "lanes_avx2.h"
#endif

namespace nmt::NMT_SET {

// Over eight lanes, always in this order: of a sum of floats the order decides on the last bits.
inline float sum_of(__m256 values) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps(values, 1));
    four = _mm_add_ps(four, _mm_shuffle_ps(four, four, _MM_SHUFFLE(1, 0, 3, 2)));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_shuffle_ps(four, four, 1)));
}
inline float largest_of(__m256 values) {
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps(values, 1));
    four = _mm_max_ps(four, _mm_shuffle_ps(four, four, _MM_SHUFFLE(1, 0, 3, 2)));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_shuffle_ps(four, four, 1)));
}
inline float sum_of(Floats values) { return sum_of(low_half(values) + high_half(values)); }
inline float largest_of(Floats values) { return largest_of(_mm256_max_ps(low_half(values), high_half(values))); }

// A vector whose new elements are not set to zero: it is written before it is read. The allocator is the set's own, and so is the code of all
// vectors that use it.
template <typename T>
struct Unset : std::allocator<T> {
    template <typename U>
    struct rebind { using other = Unset<U>; };
    template <typename U, typename... Values>
    void construct(U* place, Values&&... values) {
        if constexpr (sizeof...(Values) > 0) new (place) U(std::forward<Values>(values)...);
    }
};
template <typename T>
using Buffer = std::vector<T, Unset<T>>;

}  // namespace nmt::NMT_SET
