// The lanes in one register of AVX-512. On __m512 the compiler knows + - * by itself.
#pragma once

namespace nmt::NMT_SET {

constexpr int SUMS = 24;  // so many vectors of sums fit into the registers, beside what they are made of

using Floats = __m512;
using Ints = __m512i;

inline Floats load(const float* from) { return _mm512_loadu_ps(from); }
inline Ints load(const int32_t* from) { return _mm512_loadu_si512(from); }
inline Floats all(float value) { return _mm512_set1_ps(value); }
inline Floats zeros() { return _mm512_setzero_ps(); }
inline void store(float* to, Floats values) { _mm512_storeu_ps(to, values); }

inline __m256 low_half(Floats values) { return _mm512_castps512_ps256(values); }
inline __m256 high_half(Floats values) { return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(values), 1)); }

// Numbers in half precision.
inline Floats load_half(const uint16_t* from) { return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))); }
inline void store(uint16_t* to, Floats values) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

// a b + c, a b - c and c - a b with one rounding. Of two values one of which is NaN, the second one is the least and the largest.
inline Floats fmadd(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
inline Floats fmsub(Floats a, Floats b, Floats c) { return _mm512_fmsub_ps(a, b, c); }
inline Floats fnmadd(Floats a, Floats b, Floats c) { return _mm512_fnmadd_ps(a, b, c); }
inline Floats least(Floats a, Floats b) { return _mm512_min_ps(a, b); }
inline Floats largest(Floats a, Floats b) { return _mm512_max_ps(a, b); }
inline Floats magnitude(Floats values) { return _mm512_abs_ps(values); }
inline Floats rounded(Floats values) { return _mm512_roundscale_ps(values, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
// values * 2 ** exponents, whole numbers from -126 to 127
inline Floats scaled_by_powers(Floats values, Floats exponents) { return _mm512_scalef_ps(values, exponents); }
inline Floats as_floats(Ints values) { return _mm512_cvtepi32_ps(values); }
inline Ints sum(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
// The number whose bits, read as an integer, are `whole` less those of each value.
inline Floats bits_below(int32_t whole, Floats values) {
    return _mm512_castsi512_ps(_mm512_sub_epi32(_mm512_set1_epi32(whole), _mm512_castps_si512(values)));
}

// The values whose bits are set, side by side; returns where they end. No lane is written at or behind `end`; what lies between may be.
inline float* store_some(float* to, const float*, Floats values, uint16_t bits) {
    const int count = __builtin_popcount(bits);
    _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1), _mm512_maskz_compress_ps(bits, values));
    return to + count;
}

// Floats that are summed as whole numbers, each below 2 ** 50, so that their order changes nothing.
class WholeSum {
public:
    void add(Floats values) {
        undefined_ |= _mm512_cmp_ps_mask(values, values, _CMP_UNORD_Q);
        total_ = _mm512_add_epi64(total_, _mm512_cvtps_epi64(low_half(values)));
        total_ = _mm512_add_epi64(total_, _mm512_cvtps_epi64(high_half(values)));
    }
    bool undefined() const { return undefined_; }  // one was NaN
    int64_t total() const {
        alignas(64) uint64_t parts[8];  // modulo 2 ** 64: a value out of range must not overflow
        _mm512_store_si512(parts, total_);
        uint64_t sum = 0;
        for (const uint64_t part : parts) sum += part;
        return static_cast<int64_t>(sum);
    }

private:
    __m512i total_ = _mm512_setzero_si512();
    __mmask16 undefined_ = 0;
};

}  // namespace nmt::NMT_SET
