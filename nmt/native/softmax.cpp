// The gradient of the cross-entropy by bfloat16 logits, in their place: a row is read from memory once and written once.
#include <vector>

#include "softmax.h"
#include "threads.h"

namespace nmt::NMT_SET {
namespace {

void row(const Softmax& s, int64_t number, float* powers) {
    bf16* logits = s.logits + number * s.size;
    const Normaliser softmax = exponentials(logits, s.size, powers);
    const int64_t target = s.targets[number];
    s.log_sums[number] = softmax.log_sum();
    s.cross_entropy[number] = s.log_sums[number] - bf16_value(logits[target]);
    powers[target] -= (1 - s.smoothing) * softmax.sum;
    const __m512 inverse = _mm512_set1_ps(1 / softmax.sum);
    for (int64_t i = 0; i < s.size; i += LANES)
        store_bf16(logits + i, _mm512_mul_ps(_mm512_loadu_ps(powers + i), inverse), lanes(s.size - i));
}

}  // namespace
}  // namespace nmt::NMT_SET

using namespace nmt;
using namespace nmt::NMT_SET;

extern "C" {

void nmt_softmax_gradient(const Softmax* s) {
    in_stretches(s->threads, s->rows, [s](int64_t first, int64_t end) {
        std::vector<float> powers(s->size + LANES);
        for (int64_t number = first; number < end; ++number) row(*s, number, powers.data());
    });
}

}  // extern "C"
