// Choosing the likeliest piece of each row: the same choices as nmt/search/top.py, in one pass over each row.
#include "engine.h"
#include "look.h"

namespace nmt::NMT_SET {

void best_pieces(const Logits& logits, float* values, int64_t* pieces, float* normalisers) {
    Buffer<float> maxima;
    for (int64_t n = 0; n < logits.rows; ++n) {
        const Best best = best_of(logits, n, maxima);
        values[n] = best.value, pieces[n] = best.column, normalisers[n] = best.normaliser;
    }
}

}  // namespace nmt::NMT_SET
