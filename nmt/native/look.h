// One look at a row of logits: the maximum of each block, the softmax's normaliser, forbidden pieces taken out. AVX-512.
#pragma once

#include <algorithm>
#include <vector>

#include "vector.h"

namespace nmt {

constexpr int BLOCK = 64;  // logits that share a maximum

inline float block_maximum(const float* logits) {
    __m512 largest = _mm512_loadu_ps(logits);
    for (int i = LANES; i < BLOCK; i += LANES) largest = _mm512_max_ps(largest, _mm512_loadu_ps(logits + i));
    return _mm512_reduce_max_ps(largest);
}

// log sum exp, never below the maximum, so that no log-probability exceeds 0; NaN if any logit is. Summed in whole numbers of 2^-40: the
// order of the columns, which depends on the batch, changes nothing.
inline float log_normaliser(const float* logits, int64_t columns, float maximum) {
    __m512i total = _mm512_setzero_si512();
    __mmask16 undefined = 0;
    for (int64_t i = 0; i < columns; i += LANES) {
        const __m512 power = exp16(_mm512_sub_ps(_mm512_loadu_ps(logits + i), _mm512_set1_ps(maximum)));
        undefined |= _mm512_cmp_ps_mask(power, power, _CMP_UNORD_Q);
        const __m512 units = _mm512_mul_ps(power, _mm512_set1_ps(0x1p40f));
        total = _mm512_add_epi64(total, _mm512_cvtps_epi64(_mm512_castps512_ps256(units)));
        total = _mm512_add_epi64(total, _mm512_cvtps_epi64(_mm512_extractf32x8_ps(units, 1)));
    }
    const double sum = static_cast<double>(_mm512_reduce_add_epi64(total)) * 0x1p-40;
    return undefined ? NAN : static_cast<float>(std::log(std::max(sum, 1.0))) + maximum;
}

struct Best {
    float value;
    int64_t column;
    float normaliser;
};

// The logits [rows][columns] of a step, columns a multiple of BLOCK, and the columns that must not be chosen.
struct Logits {
    float* logits;
    int64_t rows, columns;
    const int64_t* forbidden;
    int64_t forbidden_count;
    int64_t softmax;  // 0: they are log-probabilities already, or nobody asks for these

    const float* row(int64_t n) const { return logits + n * columns; }

    // Overwrites forbidden logits of a row by -inf and writes the maximum of each block; returns log sum exp, which counts the forbidden
    // ones in; 0 without softmax.
    float look(int64_t n, std::vector<float>& maxima) const {
        float* first = logits + n * columns;
        maxima.resize(columns / BLOCK);
        for (int64_t m = 0; m < columns / BLOCK; ++m) maxima[m] = block_maximum(first + m * BLOCK);
        const float normaliser = softmax ? log_normaliser(first, columns, *std::max_element(maxima.begin(), maxima.end())) : 0.0f;
        for (int64_t f = 0; f < forbidden_count; ++f) first[forbidden[f]] = -INFINITY;
        for (int64_t f = 0; f < forbidden_count; ++f) {
            const int64_t block = forbidden[f] / BLOCK;
            maxima[block] = block_maximum(first + block * BLOCK);
        }
        return normaliser;
    }

    // The largest logit of a row that is not forbidden, less the row's normaliser, and the first column that has it.
    Best best(int64_t n, std::vector<float>& maxima) const {
        const float normaliser = look(n, maxima);
        const int64_t block = std::max_element(maxima.begin(), maxima.end()) - maxima.begin();
        const float* first = row(n) + block * BLOCK;
        const int64_t column = block * BLOCK + std::min<int64_t>(std::find(first, first + BLOCK, maxima[block]) - first, BLOCK - 1);
        return {maxima[block] - normaliser, column, normaliser};
    }
};

}  // namespace nmt
