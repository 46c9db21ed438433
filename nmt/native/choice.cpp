// Choosing from logits: the same choices as nmt/search/candidates.py, in one pass over each row. AVX-512.
#include <algorithm>
#include <cmath>

#include "vector.h"

namespace {

using namespace nmt;

float block_maximum(const float* logits) {
    __m512 largest = _mm512_loadu_ps(logits);
    for (int i = LANES; i < BLOCK; i += LANES) largest = _mm512_max_ps(largest, _mm512_loadu_ps(logits + i));
    return _mm512_reduce_max_ps(largest);
}

// log sum exp, never below the maximum, so that no log-probability exceeds 0; NaN if any logit is. Summed in whole numbers of 2^-40: the
// order of the columns, which depends on the batch, changes nothing.
float log_normaliser(const float* logits, int64_t columns, float maximum) {
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

}  // namespace

extern "C" {

// Which sources this library was made of.
uint32_t nmt_sources() { return NMT_SOURCES; }

// Overwrites forbidden logits by -inf, writes the maximum of each block of 64 and, if `normalisers` is given, log sum exp of each row,
// which counts the forbidden ones in. `columns` is a multiple of 64.
void nmt_look(float* logits, int64_t rows, int64_t columns, const int64_t* forbidden, int64_t forbidden_count, float* maxima, float* normalisers) {
    const int64_t blocks = columns / BLOCK;
    for (int64_t n = 0; n < rows; ++n, logits += columns, maxima += blocks) {
        for (int64_t m = 0; m < blocks; ++m) maxima[m] = block_maximum(logits + m * BLOCK);
        if (normalisers) normalisers[n] = log_normaliser(logits, columns, *std::max_element(maxima, maxima + blocks));
        for (int64_t f = 0; f < forbidden_count; ++f) logits[forbidden[f]] = -INFINITY;
        for (int64_t f = 0; f < forbidden_count; ++f) {
            const int64_t block = forbidden[f] / BLOCK;
            maxima[block] = block_maximum(logits + block * BLOCK);
        }
    }
}

// The largest logit of each row and the first column that has it.
void nmt_best_pieces(const float* logits, const float* maxima, int64_t rows, int64_t columns, float* values, int64_t* pieces) {
    const int64_t blocks = columns / BLOCK;
    for (int64_t n = 0; n < rows; ++n, logits += columns, maxima += blocks) {
        const int64_t block = std::max_element(maxima, maxima + blocks) - maxima;
        values[n] = maxima[block];
        const float* first = logits + block * BLOCK;
        pieces[n] = block * BLOCK + std::min<int64_t>(std::find(first, first + BLOCK, maxima[block]) - first, BLOCK - 1);
    }
}

}  // extern "C"
