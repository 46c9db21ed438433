// Sixteen floats at a time: the functions that a network needs between its products. AVX-512.
#pragma once

#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace nmt {

constexpr int LANES = 16;

// As CELLS in nmt/native/__init__.py numbers them.
enum Cell : int64_t { LSTM = 0, PEEPHOLE = 1, GRU = 2, TANH = 3 };

// A vector whose new elements are not set to zero: it is written before it is read.
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

// Before a loop over registers: unrolled, or the compiler keeps them in memory.
#define UNROLL _Pragma("GCC unroll 8")

// Numbers in half precision.
inline __m512 load_half(const uint16_t* values) { return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(values))); }

inline void store(float* to, __m512 values) { _mm512_storeu_ps(to, values); }
inline void store(uint16_t* to, __m512 values) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

// The values whose bits are set, side by side; returns where they end.
inline float* store_some(float* to, __m512 values, uint16_t bits) {
    const int count = __builtin_popcount(bits);
    _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1), _mm512_maskz_compress_ps(bits, values));
    return to + count;
}

// exp(x): 2^n times a polynomial of degree 5 in the remainder (relative error below 3e-7). NaN stays NaN; -inf gives 1e-38.
inline __m512 exp16(__m512 x) {
    x = _mm512_max_ps(_mm512_set1_ps(-87.0f), x);  // of an operand that is NaN, max gives the second one
    x = _mm512_min_ps(_mm512_set1_ps(88.0f), x);
    const __m512 scaled = _mm512_mul_ps(x, _mm512_set1_ps(1.44269504089f));
    const __m512 whole = _mm512_roundscale_ps(scaled, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 rest = _mm512_sub_ps(scaled, whole);
    __m512 power = _mm512_set1_ps(1.33335581e-3f);
    power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(9.61812911e-3f));
    power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(5.55041087e-2f));
    power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(2.40226507e-1f));
    power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(6.93147181e-1f));
    power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(power, whole);
}

// The sigmoid, to a relative error of 1e-4 (most of it the hardware's inverse of 14 bits), and with it tanh to an absolute one of 1e-4: less
// than inputs in bfloat16 or 8 bits leave open. 2^x between -1/2 and 1/2 is a polynomial fitted to an error of 3e-6. Infinities may give NaN.
inline __m512 sigmoid16(__m512 x) {
    const __m512 scaled = _mm512_mul_ps(x, _mm512_set1_ps(-1.44269504089f));
    const __m512 whole = _mm512_roundscale_ps(scaled, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 rest = _mm512_sub_ps(scaled, whole);
    __m512 power = _mm512_set1_ps(9.58285e-3f);
    power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(5.590643e-2f));
    power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(2.4024099e-1f));
    power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(6.9312419e-1f));
    power = _mm512_fmadd_ps(power, rest, _mm512_set1_ps(1.0f));
    return _mm512_rcp14_ps(_mm512_add_ps(_mm512_set1_ps(1.0f), _mm512_scalef_ps(power, whole)));
}

inline __m512 tanh16(__m512 x) {
    return _mm512_fmsub_ps(_mm512_set1_ps(2.0f), sigmoid16(_mm512_add_ps(x, x)), _mm512_set1_ps(1.0f));
}

// One stretch of a vector that is to be multiplied: `size` floats, a multiple of 64.
struct Part {
    const float* values;
    int size;
};

// The parts side by side in 8 bits: value = scale * (byte - 128). Returns the scale: the largest magnitude is 127 steps.
// It depends on this vector alone, so that no product depends on the other rows of its batch.
template <int PARTS>
inline float quantise(const Part (&parts)[PARTS], uint8_t* bytes) {
    __m512 largest = _mm512_setzero_ps();
    for (const Part& part : parts)
        for (int i = 0; i < part.size; i += LANES) largest = _mm512_max_ps(_mm512_abs_ps(_mm512_loadu_ps(part.values + i)), largest);
    const float magnitude = _mm512_reduce_max_ps(largest);
    const __m512 factor = _mm512_set1_ps(magnitude > 0 ? 127.0f / magnitude : 0.0f);
    const __m128i sign = _mm_set1_epi8(static_cast<char>(0x80));
    for (const Part& part : parts) {
        for (int i = 0; i < part.size; i += LANES) {
            const __m512i steps = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(part.values + i), factor));
            _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes + i), _mm_xor_si128(_mm512_cvtsepi32_epi8(steps), sign));
        }
        bytes += part.size;
    }
    return magnitude / 127.0f;
}

}  // namespace nmt
