// The softmax of bfloat16 logits.
#pragma once

#include <cmath>

#include "bfloat.h"

namespace nmt::NMT_SET {

// Which of the next sixteen are among those that are left.
inline __mmask16 lanes(int64_t left) { return left < LANES ? (1u << left) - 1 : 0xFFFF; }

// What turns exponentials into probabilities.
struct Normaliser {
    float top;  // the largest logit
    float sum;  // of exp(logit - top)
    float log_sum() const { return std::log(sum) + top; }
};

// Writes exp(logit - top) of each logit; up to the next multiple of 16, what lies behind them is without meaning.
inline Normaliser exponentials(const bf16* logits, int64_t size, float* powers) {
    __m512 largest = _mm512_set1_ps(-INFINITY), sums = _mm512_setzero_ps();
    for (int64_t i = 0; i < size; i += LANES) {
        const __mmask16 there = lanes(size - i);
        largest = _mm512_mask_max_ps(largest, there, load_bf16(logits + i, there), largest);
    }
    const float top = _mm512_reduce_max_ps(largest);
    for (int64_t i = 0; i < size; i += LANES) {
        const __mmask16 there = lanes(size - i);
        const __m512 power = exp16(_mm512_sub_ps(load_bf16(logits + i, there), _mm512_set1_ps(top)));
        _mm512_storeu_ps(powers + i, power);
        sums = _mm512_mask_add_ps(sums, there, sums, power);
    }
    return {top, _mm512_reduce_add_ps(sums)};
}

}  // namespace nmt::NMT_SET
