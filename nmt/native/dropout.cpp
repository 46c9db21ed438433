// Dropout in bfloat16: the parts of a vector side by side, each element kept or not, in one pass and without a mask in memory.
//
// Whether an element is kept is a byte of SplitMix64 (Steele et al. 2014), found from the seed and the element's place alone: backwards it
// is found again, and neither threads nor parts change it.
#include "bfloat.h"
#include "threads.h"

namespace nmt::NMT_SET {
namespace {

constexpr int64_t BYTES = 64;  // of eight numbers

// Which of 64 elements stay; `block` is the number of the 64 among all.
inline __mmask64 kept(const Dropout& d, int64_t block) {
    const __m512i places = _mm512_add_epi64(_mm512_set1_epi64(block * 8), _mm512_set_epi64(8, 7, 6, 5, 4, 3, 2, 1));
    __m512i x = _mm512_add_epi64(_mm512_set1_epi64(d.seed), _mm512_mullo_epi64(places, _mm512_set1_epi64(0x9E3779B97F4A7C15)));
    x = _mm512_mullo_epi64(_mm512_xor_si512(x, _mm512_srli_epi64(x, 30)), _mm512_set1_epi64(0xBF58476D1CE4E5B9));
    x = _mm512_mullo_epi64(_mm512_xor_si512(x, _mm512_srli_epi64(x, 27)), _mm512_set1_epi64(0x94D049BB133111EB));
    x = _mm512_xor_si512(x, _mm512_srli_epi64(x, 31));
    return _mm512_cmpge_epu8_mask(x, _mm512_set1_epi8(static_cast<char>(d.threshold)));
}

inline __m512 load(const float* values) { return _mm512_loadu_ps(values); }
inline __m512 load(const bf16* values) { return load_bf16(values); }
inline void store(float* values, __m512 numbers) { _mm512_storeu_ps(values, numbers); }
inline void store(bf16* values, __m512 numbers) { store_bf16(values, numbers); }

template <typename From, typename To>
inline void copy_kept(const Dropout& d, int64_t row, const From* from, To* to) {
    const __m512 scale = _mm512_set1_ps(256.0f / static_cast<float>(256 - d.threshold));
    for (int64_t start = 0; start < d.size; start += BYTES) {
        const __mmask64 mask = kept(d, (row * d.width + d.offset + start) / BYTES);
        UNROLL
        for (int64_t k = 0; k < BYTES; k += LANES)
            store(to + start + k, _mm512_maskz_mul_ps(static_cast<__mmask16>(mask >> k), load(from + start + k), scale));
    }
}

template <typename Part>
void rows(const Dropout& d, int64_t first, int64_t end) {
    for (int64_t row = first; row < end; ++row) {
        Part* part = static_cast<Part*>(d.part) + row * d.size;
        bf16* joined = d.joined + row * d.width + d.offset;
        if (d.backwards) copy_kept(d, row, joined, part);
        else copy_kept(d, row, part, joined);
    }
}

}  // namespace
}  // namespace nmt::NMT_SET

using namespace nmt;
using namespace nmt::NMT_SET;

extern "C" {

// joined = part m / (1 - p) with P(m = 0) = p = threshold / 256, or part = joined m / (1 - p) with the same m.
void nmt_dropout(const Dropout* d) {
    in_stretches(d->threads, d->rows, [d](int64_t first, int64_t end) { d->single ? rows<float>(*d, first, end) : rows<bf16>(*d, first, end); });
}

}  // extern "C"
