// What the engine computes between its edges, of one instruction set, for numbers of all sizes: written to standard output, so that the sets
// can be compared. Compiled by tests/test_lanes.py.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>

#ifdef NMT_EMULATED
#include <simde/x86/avx512.h>

#include <immintrin.h>

// What SIMDe 0.7 lacks or has otherwise, one lane or one half after the other, with the rounding of the processor.
template <typename To, typename From, typename Each>
To lane_by_lane(const From& values, Each each) {
    static_assert(sizeof(To) == 64 && sizeof(From) == 64);
    auto from = [&](int i) { return each(reinterpret_cast<const char*>(&values) + 4 * i); };
    decltype(from(0)) numbers[16];
    for (int i = 0; i < 16; ++i) numbers[i] = from(i);
    To to;
    std::memcpy(&to, numbers, sizeof to);
    return to;
}
inline float float_at(const char* place) {
    float number;
    std::memcpy(&number, place, 4);
    return number;
}
inline __m512 emulated_cvtepi32_ps(__m512i values) {
    return lane_by_lane<__m512>(values, [](const char* place) {
        int32_t number;
        std::memcpy(&number, place, 4);
        return static_cast<float>(number);
    });
}
inline __m512i emulated_cvtps_epi32(__m512 values) {
    return lane_by_lane<__m512i>(values, [](const char* place) { return _mm_cvtss_si32(_mm_set_ss(float_at(place))); });
}
inline __m512i emulated_cvtps_epi64(__m256 values) {
    int64_t numbers[8];
    for (int i = 0; i < 8; ++i) numbers[i] = _mm_cvtss_si64(_mm_set_ss(float_at(reinterpret_cast<const char*>(&values) + 4 * i)));
    return _mm512_loadu_si512(numbers);
}
inline int64_t emulated_reduce_add_epi64(__m512i values) {
    uint64_t numbers[8], sum = 0;
    std::memcpy(numbers, &values, sizeof numbers);
    for (uint64_t number : numbers) sum += number;
    return static_cast<int64_t>(sum);
}
inline __m512 emulated_cvtph_ps(__m256i halves) {
    float numbers[16];
    _mm256_storeu_ps(numbers, _mm256_cvtph_ps(_mm256_castsi256_si128(halves)));
    _mm256_storeu_ps(numbers + 8, _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1)));
    return _mm512_loadu_ps(numbers);
}
template <int MODE>
__m256i emulated_cvtps_ph(__m512 values) {
    float numbers[16];
    _mm512_storeu_ps(numbers, values);
    return _mm256_set_m128i(_mm256_cvtps_ph(_mm256_loadu_ps(numbers + 8), MODE), _mm256_cvtps_ph(_mm256_loadu_ps(numbers), MODE));
}
inline void emulated_mask_storeu_ps(float* to, uint16_t mask, __m512 values) {
    for (int i = 0; i < 16; ++i)
        if (mask >> i & 1) to[i] = float_at(reinterpret_cast<const char*>(&values) + 4 * i);
}
inline __m512 emulated_abs_ps(__m512 values) {  // SIMDe's leaves -0 as it is
    return lane_by_lane<__m512>(values, [](const char* place) { return std::fabs(float_at(place)); });
}
#undef _mm512_abs_ps
#define _mm512_abs_ps emulated_abs_ps
#define _mm512_cvtepi32_ps emulated_cvtepi32_ps
#define _mm512_cvtps_epi32 emulated_cvtps_epi32
#define _mm512_cvtps_epi64 emulated_cvtps_epi64
#define _mm512_reduce_add_epi64 emulated_reduce_add_epi64
#define _mm512_cvtph_ps emulated_cvtph_ps
#define _mm512_cvtps_ph(values, mode) emulated_cvtps_ph<(mode)>(values)
#define _mm512_mask_storeu_ps emulated_mask_storeu_ps
#endif

#include "attention.h"
#include "cells.h"
#include "look.h"

using namespace nmt;
using namespace nmt::NMT_SET;

namespace {

uint64_t state = 1;

uint32_t random_bits() {  // SplitMix64
    uint64_t z = state += 0x9E3779B97F4A7C15;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return static_cast<uint32_t>(z >> 32);
}

// Between -scale and scale.
float random_float(float scale) { return (static_cast<float>(random_bits()) / 2147483648.0f - 1) * scale; }

const float SPECIAL[] = {0.0f, -0.0f, 1e-40f, -1e-40f, 1e38f, -1e38f, INFINITY, -INFINITY, NAN, 88.5f, -87.5f, 65504.0f, 65520.0f, 1e-8f};

// Sixteen floats of one size; in every fourth call some are special.
void fill(float* to, int64_t count) {
    static int calls = 0;
    const float scale = std::ldexp(1.0f, static_cast<int>(random_bits() % 16) - 8);
    const bool special = ++calls % 4 == 0;
    for (int64_t i = 0; i < count; ++i) to[i] = special && random_bits() % 8 == 0 ? SPECIAL[random_bits() % 14] : random_float(scale);
}

void say(const char* name, const float* values, int64_t count) {
    std::printf("%s", name);
    for (int64_t i = 0; i < count; ++i) {
        uint32_t bits;
        std::memcpy(&bits, values + i, 4);
        if (std::isnan(values[i])) bits = 0x7FC00000;  // one NaN is as good as another
        std::printf(" %08x", bits);
    }
    std::printf("\n");
}

void say(const char* name, Floats values) {
    float numbers[LANES];
    store(numbers, values);
    say(name, numbers, LANES);
}

void lanes() {
    float a[LANES], b[LANES], c[LANES];
    fill(a, LANES), fill(b, LANES), fill(c, LANES);
    const Floats x = load(a), y = load(b), z = load(c);
    say("sum", x + y), say("difference", x - y), say("product", x * y), say("fmadd", fmadd(x, y, z)), say("fmsub", fmsub(x, y, z));
    say("fnmadd", fnmadd(x, y, z)), say("least", least(x, y)), say("largest", largest(x, y)), say("magnitude", magnitude(x));
    say("rounded", rounded(x)), say("exp", exp16(x)), say("exp_minus", exp_minus(x)), say("inverse", inverse(magnitude(x) + all(1.0f)));
    say("sigmoid", sigmoid(x)), say("tanh", hyperbolic_tangent(x)), say("sigmoid_tanh", sigmoid_tanh(x, y));
    float found[2] = {sum_of(x), largest_of(y)};
    say("over lanes", found, 2);
    uint16_t halves[LANES];
    store(halves, x), say("half", load_half(halves));
    float some[3 * LANES] = {};
    const uint16_t bits = static_cast<uint16_t>(random_bits());
    float* end = store_some(some, some + 3 * LANES, x, bits);
    say("some", some, end - some);
    std::fill(some, some + 3 * LANES, 7.0f);
    store_some(some, some + __builtin_popcount(bits), x, bits);  // nothing behind the end
    say("some up to the end", some, 3 * LANES);
}

void products() {
    const int64_t inputs = 64 + 64 * (random_bits() % 4), rows = 1 + random_bits() % 14;
    std::vector<int8_t> weights(64 * inputs);
    std::vector<int32_t> starts(64, 0);
    std::vector<float> scales(64), bias(64), values(rows * inputs), outputs(rows * 64);
    for (auto& each : weights) each = static_cast<int8_t>(random_bits() % 8 ? random_bits() % 255 - 127 : 127);
    for (int64_t q = 0; q < inputs / 4; ++q)
        for (int c = 0; c < 64; ++c)
            for (int i = 0; i < 4; ++i) starts[c] -= 128 * weights[(q * 64 + c) * 4 + i];
    fill(scales.data(), 64), fill(bias.data(), 64), fill(values.data(), rows * inputs);
    const Matrix matrix{weights.data(), scales.data(), starts.data(), bias.data(), inputs, 64};
    Inputs quantised;
    quantised.fill(values.data(), rows, inputs);
    linear(matrix, quantised, rows, outputs.data());
    say("linear", outputs.data(), rows * 64);
}

void reading() {
    const int64_t length = 1 + random_bits() % 40, size = 128, rows = 1 + random_bits() % 6;
    std::vector<float> queries(rows * size), contexts(rows * size);
    std::vector<uint16_t> keys(length * size), values(length * size);
    fill(queries.data(), rows * size);
    for (auto* halves : {&keys, &values})
        for (auto& each : *halves) each = static_cast<uint16_t>((random_bits() & 0x8FFF) | 0x2000);
    std::vector<const float*> query(rows);
    std::vector<float*> context(rows);
    for (int64_t r = 0; r < rows; ++r) query[r] = queries.data() + r * size, context[r] = contexts.data() + r * size;
    Buffer<float> scratch;
    attend_sentence(query.data(), rows, {keys.data(), values.data(), length}, 2, size, context.data(), scratch);
    say("attention", contexts.data(), rows * size);
}

void choosing() {
    std::vector<float> logits(192);
    fill(logits.data(), 192);
    Buffer<float> maxima;
    const Best best = best_of(Logits{logits.data(), 1, 192, nullptr, 0, 1}, 0, maxima);
    const float found[] = {best.value, static_cast<float>(best.column), best.normaliser};
    say("best", found, 3);
}

}  // namespace

int main() {
    for (int round = 0; round < 400; ++round) lanes();
    for (int round = 0; round < 60; ++round) products(), reading(), choosing();
}
