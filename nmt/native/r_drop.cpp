// R-Drop's gradients by the bfloat16 logits of both passes, in their place: nmt/model/r_drop.py has the equations.
#include <cmath>
#include <vector>

#include "softmax.h"
#include "threads.h"

namespace nmt::NMT_SET {
namespace {

struct Sums {
    __m512 forth = _mm512_setzero_ps(), back = _mm512_setzero_ps(), logits = _mm512_setzero_ps();
};

void row(const RDrop& r, int64_t number, float* first_powers, float* second_powers) {
    bf16 *first = r.first + number * r.size, *second = r.second + number * r.size;
    const Normaliser p = exponentials(first, r.size, first_powers), q = exponentials(second, r.size, second_powers);
    const __m512 p_scale = _mm512_set1_ps(1 / p.sum), q_scale = _mm512_set1_ps(1 / q.sum), shift = _mm512_set1_ps(p.log_sum() - q.log_sum());
    // log p - log q of sixteen pieces
    auto difference = [&](int64_t i, __mmask16 there) {
        return _mm512_sub_ps(_mm512_sub_ps(load_bf16(first + i, there), load_bf16(second + i, there)), shift);
    };
    Sums sums;
    for (int64_t i = 0; i < r.size; i += LANES) {
        const __mmask16 there = lanes(r.size - i);
        const __m512 by = difference(i, there);
        sums.forth = _mm512_mask3_fmadd_ps(_mm512_mul_ps(_mm512_loadu_ps(first_powers + i), p_scale), by, sums.forth, there);
        sums.back = _mm512_mask3_fmadd_ps(_mm512_mul_ps(_mm512_loadu_ps(second_powers + i), q_scale), by, sums.back, there);
        sums.logits = _mm512_add_ps(sums.logits, _mm512_add_ps(load_bf16(first + i, there), load_bf16(second + i, there)));
    }
    const float forth = _mm512_reduce_add_ps(sums.forth), back = -_mm512_reduce_add_ps(sums.back);
    const int64_t target = r.targets[number];
    const float logs = p.log_sum() + q.log_sum(), chosen = 0.5f * (logs - bf16_value(first[target]) - bf16_value(second[target]));
    const float spread = 0.5f * (logs - _mm512_reduce_add_ps(sums.logits) / r.size);
    r.cross_entropy[number] = chosen;
    r.loss[number] = (1 - r.smoothing) * chosen + r.smoothing * spread + r.alpha / 4 * (forth + back);
    const float p_target = first_powers[target] / p.sum, q_target = second_powers[target] / q.sum;
    const float by_target = bf16_value(first[target]) - bf16_value(second[target]) - (p.log_sum() - q.log_sum());
    const float constant = 0.5f * r.smoothing / r.size, quarter = r.alpha / 4;
    const __m512 half = _mm512_set1_ps(0.5f), alpha = _mm512_set1_ps(quarter), wanted = _mm512_set1_ps(constant);
    for (int64_t i = 0; i < r.size; i += LANES) {
        const __mmask16 there = lanes(r.size - i);
        const __m512 by = difference(i, there);
        const __m512 ps = _mm512_mul_ps(_mm512_loadu_ps(first_powers + i), p_scale), qs = _mm512_mul_ps(_mm512_loadu_ps(second_powers + i), q_scale);
        const __m512 apart = _mm512_sub_ps(ps, qs);
        const __m512 pull_p = _mm512_fmadd_ps(ps, _mm512_sub_ps(by, _mm512_set1_ps(forth)), apart);
        const __m512 pull_q = _mm512_fnmsub_ps(qs, _mm512_add_ps(by, _mm512_set1_ps(back)), apart);
        store_bf16(first + i, _mm512_fmadd_ps(alpha, pull_p, _mm512_fmsub_ps(half, ps, wanted)), there);
        store_bf16(second + i, _mm512_fmadd_ps(alpha, pull_q, _mm512_fmsub_ps(half, qs, wanted)), there);
    }
    const float apart = p_target - q_target, missing = constant + 0.5f * (1 - r.smoothing);
    first[target] = bf16_of(0.5f * p_target - missing + quarter * (p_target * (by_target - forth) + apart));
    second[target] = bf16_of(0.5f * q_target - missing + quarter * (q_target * (-by_target - back) - apart));
}

}  // namespace
}  // namespace nmt::NMT_SET

using namespace nmt;
using namespace nmt::NMT_SET;

extern "C" {

void nmt_r_drop_gradient(const RDrop* r) {
    in_stretches(r->threads, r->rows, [r](int64_t first, int64_t end) {
        std::vector<float> powers(2 * (r->size + LANES));
        for (int64_t number = first; number < end; ++number) row(*r, number, powers.data(), powers.data() + r->size + LANES);
    });
}

}  // extern "C"
