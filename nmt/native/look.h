// One look at a row of logits: the maximum of each block, the softmax's normaliser, forbidden pieces taken out.
#pragma once

#include <algorithm>

#include "vector.h"

namespace nmt::NMT_SET {

constexpr int BLOCK = 64;  // logits that share a maximum

inline float block_maximum(const float* logits) {
    Floats most = load(logits);
    for (int i = LANES; i < BLOCK; i += LANES) most = largest(most, load(logits + i));
    return largest_of(most);
}

// log sum exp, never below the maximum, so that no log-probability exceeds 0; NaN if any logit is. Summed in whole numbers of 2^-40: the
// order of the columns, which depends on the batch, changes nothing.
inline float log_normaliser(const float* logits, int64_t columns, float maximum) {
    WholeSum total;
    for (int64_t i = 0; i < columns; i += LANES) total.add(exp16(load(logits + i) - all(maximum)) * all(0x1p40f));
    const double sum = static_cast<double>(total.total()) * 0x1p-40;
    return total.undefined() ? NAN : static_cast<float>(std::log(std::max(sum, 1.0))) + maximum;
}

struct Best {
    float value;
    int64_t column;
    float normaliser;
};

inline float* row_of(const Logits& logits, int64_t n) { return logits.logits + n * logits.columns; }

// Overwrites forbidden logits of a row by -inf and writes the maximum of each block; returns log sum exp, which counts the forbidden ones in;
// 0 without softmax.
inline float look(const Logits& logits, int64_t n, Buffer<float>& maxima) {
    float* first = row_of(logits, n);
    maxima.resize(logits.columns / BLOCK);
    for (int64_t m = 0; m < logits.columns / BLOCK; ++m) maxima[m] = block_maximum(first + m * BLOCK);
    const float normaliser = logits.softmax ? log_normaliser(first, logits.columns, *std::max_element(maxima.begin(), maxima.end())) : 0.0f;
    for (int64_t f = 0; f < logits.forbidden_count; ++f) first[logits.forbidden[f]] = -INFINITY;
    for (int64_t f = 0; f < logits.forbidden_count; ++f) {
        const int64_t block = logits.forbidden[f] / BLOCK;
        maxima[block] = block_maximum(first + block * BLOCK);
    }
    return normaliser;
}

// The largest logit of a row that is not forbidden, less the row's normaliser, and the first column that has it; the first column, where
// the maximum is -inf or NaN. So the column always has a piece: the columns that fill up the last block are -inf, or NaN where logits are not
// finite.
inline Best best_of(const Logits& logits, int64_t n, Buffer<float>& maxima) {
    const float normaliser = look(logits, n, maxima);
    const int64_t block = std::max_element(maxima.begin(), maxima.end()) - maxima.begin();
    const float* first = row_of(logits, n) + block * BLOCK;
    const int64_t column = maxima[block] > -INFINITY ? block * BLOCK + (std::find(first, first + BLOCK, maxima[block]) - first) : 0;
    return {maxima[block] - normaliser, column, normaliser};
}

}  // namespace nmt::NMT_SET
