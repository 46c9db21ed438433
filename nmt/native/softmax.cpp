// The gradient of the cross-entropy by bfloat16 logits, in their place: a row is read from memory once and written once.
#include <cmath>
#include <vector>

#include "bfloat.h"
#include "threads.h"

namespace nmt {
namespace {

// Mirrors SoftmaxArrays in nmt/native/__init__.py.
struct Softmax {
    int64_t rows, size, threads;
    bf16* logits;            // [rows][size] -> softmax - (1 - smoothing) at the target
    const int64_t* targets;  // [rows]
    float* cross_entropy;    // [rows], nats
    float* log_sums;         // [rows]: logarithms of the sums of the logits' exponentials
    float smoothing;
};

inline __mmask16 lanes(int64_t left) { return left < LANES ? (1u << left) - 1 : 0xFFFF; }

void row(const Softmax& s, int64_t number, std::vector<float>& powers) {
    bf16* logits = s.logits + number * s.size;
    __m512 largest = _mm512_set1_ps(-INFINITY);
    for (int64_t i = 0; i < s.size; i += LANES) {
        const __mmask16 there = lanes(s.size - i);
        largest = _mm512_mask_max_ps(largest, there, load_bf16(logits + i, there), largest);
    }
    const float top = _mm512_reduce_max_ps(largest);
    __m512 sums = _mm512_setzero_ps();
    for (int64_t i = 0; i < s.size; i += LANES) {
        const __mmask16 there = lanes(s.size - i);
        const __m512 power = exp16(_mm512_sub_ps(load_bf16(logits + i, there), _mm512_set1_ps(top)));
        _mm512_storeu_ps(powers.data() + i, power);
        sums = _mm512_mask_add_ps(sums, there, sums, power);
    }
    const float sum = _mm512_reduce_add_ps(sums), log_sum = std::log(sum) + top;
    const int64_t target = s.targets[number];
    s.log_sums[number] = log_sum;
    s.cross_entropy[number] = log_sum - bf16_value(logits[target]);
    powers[target] -= (1 - s.smoothing) * sum;
    const __m512 inverse = _mm512_set1_ps(1 / sum);
    for (int64_t i = 0; i < s.size; i += LANES)
        store_bf16(logits + i, _mm512_mul_ps(_mm512_loadu_ps(powers.data() + i), inverse), lanes(s.size - i));
}

}  // namespace
}  // namespace nmt

using namespace nmt;

extern "C" {

void nmt_softmax_gradient(const Softmax* s) {
    in_threads(s->threads, [s](int64_t thread) {
        std::vector<float> powers(s->size + LANES);
        for (int64_t number = thread * s->rows / s->threads; number < (thread + 1) * s->rows / s->threads; ++number) row(*s, number, powers);
    });
}

}  // extern "C"
