// The lanes in two registers of AVX2, with FMA and F16C.
#pragma once

namespace nmt::NMT_SET {

constexpr int SUMS = 6;  // so many vectors of sums fit into the registers, beside what they are made of

struct Floats {
    __m256 low, high;
};
struct Ints {
    __m256i low, high;
};

inline Floats operator+(Floats a, Floats b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
inline Floats operator-(Floats a, Floats b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
inline Floats operator*(Floats a, Floats b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }

inline Floats load(const float* from) { return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)}; }
inline Ints load(const int32_t* from) {
    const __m256i* halves = reinterpret_cast<const __m256i*>(from);
    return {_mm256_loadu_si256(halves), _mm256_loadu_si256(halves + 1)};
}
inline Floats all(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
inline Floats zeros() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
inline void store(float* to, Floats values) { _mm256_storeu_ps(to, values.low), _mm256_storeu_ps(to + 8, values.high); }

inline __m256 low_half(Floats values) { return values.low; }
inline __m256 high_half(Floats values) { return values.high; }

// Numbers in half precision.
inline Floats load_half(const uint16_t* from) {
    const __m128i* halves = reinterpret_cast<const __m128i*>(from);
    return {_mm256_cvtph_ps(_mm_loadu_si128(halves)), _mm256_cvtph_ps(_mm_loadu_si128(halves + 1))};
}
inline void store(uint16_t* to, Floats values) {
    constexpr int NEAREST = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    __m128i* halves = reinterpret_cast<__m128i*>(to);
    _mm_storeu_si128(halves, _mm256_cvtps_ph(values.low, NEAREST)), _mm_storeu_si128(halves + 1, _mm256_cvtps_ph(values.high, NEAREST));
}

// a b + c, a b - c and c - a b with one rounding. Of two values one of which is NaN, the second one is the least and the largest.
inline Floats fmadd(Floats a, Floats b, Floats c) { return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)}; }
inline Floats fmsub(Floats a, Floats b, Floats c) { return {_mm256_fmsub_ps(a.low, b.low, c.low), _mm256_fmsub_ps(a.high, b.high, c.high)}; }
inline Floats fnmadd(Floats a, Floats b, Floats c) { return {_mm256_fnmadd_ps(a.low, b.low, c.low), _mm256_fnmadd_ps(a.high, b.high, c.high)}; }
inline Floats least(Floats a, Floats b) { return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }
inline Floats largest(Floats a, Floats b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
inline Floats magnitude(Floats values) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return {_mm256_andnot_ps(sign, values.low), _mm256_andnot_ps(sign, values.high)};
}
inline Floats rounded(Floats values) {
    constexpr int NEAREST = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    return {_mm256_round_ps(values.low, NEAREST), _mm256_round_ps(values.high, NEAREST)};
}
// values * 2 ** exponents, whole numbers from -126 to 127
inline __m256 scaled_by_powers(__m256 values, __m256 exponents) {
    const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(exponents), _mm256_set1_epi32(127));
    return _mm256_mul_ps(values, _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23)));
}
inline Floats scaled_by_powers(Floats values, Floats exponents) {
    return {scaled_by_powers(values.low, exponents.low), scaled_by_powers(values.high, exponents.high)};
}
inline Floats as_floats(Ints values) { return {_mm256_cvtepi32_ps(values.low), _mm256_cvtepi32_ps(values.high)}; }
inline Ints sum(Ints a, Ints b) { return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)}; }
// The number whose bits, read as an integer, are `whole` less those of each value.
inline Floats bits_below(int32_t whole, Floats values) {
    const __m256i from = _mm256_set1_epi32(whole);
    return {_mm256_castsi256_ps(_mm256_sub_epi32(from, _mm256_castps_si256(values.low))),
            _mm256_castsi256_ps(_mm256_sub_epi32(from, _mm256_castps_si256(values.high)))};
}

// [bits]: the places of the bits that are set, then zeros: what compresses eight lanes.
struct Places {
    uint8_t of[256][8];
    constexpr Places() : of{} {
        for (int bits = 0; bits < 256; ++bits)
            for (int place = 0, next = 0; place < 8; ++place)
                if (bits >> place & 1) of[bits][next++] = static_cast<uint8_t>(place);
    }
};
inline constexpr Places PLACES;

inline float* store_some(float* to, const float* end, __m256 values, uint8_t bits) {
    const __m128i places = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(PLACES.of[bits]));
    const __m256 chosen = _mm256_permutevar8x32_ps(values, _mm256_cvtepu8_epi32(places));
    const int count = __builtin_popcount(bits);
    if (end - to >= 8) {
        _mm256_storeu_ps(to, chosen);
    } else {  // a masked store takes some forty instructions on processors of AMD
        alignas(32) float numbers[8];
        _mm256_store_ps(numbers, chosen);
        for (int i = 0; i < count; ++i) to[i] = numbers[i];
    }
    return to + count;
}
// The values whose bits are set, side by side; returns where they end. No lane is written at or behind `end`; what lies between may be.
inline float* store_some(float* to, const float* end, Floats values, uint16_t bits) {
    return store_some(store_some(to, end, values.low, bits & 0xFF), end, values.high, bits >> 8);
}

// Floats that are summed as whole numbers, each below 2 ** 50, so that their order changes nothing.
class WholeSum {
public:
    void add(Floats values) {
        undefined_ = _mm256_or_ps(undefined_, _mm256_cmp_ps(values.low, values.low, _CMP_UNORD_Q));
        undefined_ = _mm256_or_ps(undefined_, _mm256_cmp_ps(values.high, values.high, _CMP_UNORD_Q));
        add(_mm256_castps256_ps128(values.low)), add(_mm256_extractf128_ps(values.low, 1));
        add(_mm256_castps256_ps128(values.high)), add(_mm256_extractf128_ps(values.high, 1));
    }
    bool undefined() const { return _mm256_movemask_ps(undefined_); }  // one was NaN
    int64_t total() const {
        alignas(32) uint64_t parts[4];  // modulo 2 ** 64
        _mm256_store_si256(reinterpret_cast<__m256i*>(parts), total_);
        const double shift = SHIFT;
        uint64_t shifts;
        static_assert(sizeof shifts == sizeof shift);
        __builtin_memcpy(&shifts, &shift, sizeof shift);
        return static_cast<int64_t>(parts[0] + parts[1] + parts[2] + parts[3] - static_cast<uint64_t>(count_) * shifts);
    }

private:
    static constexpr double SHIFT = 0x1.8p52;  // a double above it has a whole number in its lowest bits: AVX2 has no other way to it

    void add(__m128 four) {
        total_ = _mm256_add_epi64(total_, _mm256_castpd_si256(_mm256_add_pd(_mm256_cvtps_pd(four), _mm256_set1_pd(SHIFT))));
        count_ += 4;
    }

    __m256i total_ = _mm256_setzero_si256();
    __m256 undefined_ = _mm256_setzero_ps();
    int64_t count_ = 0;
};

}  // namespace nmt::NMT_SET
