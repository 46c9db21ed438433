// Choosing the likeliest piece of each row: the same choices as nmt/search/candidates.py, in one pass over each row.
#include "look.h"

using namespace nmt;

extern "C" {

// Which sources this library was made of.
uint32_t nmt_sources() { return NMT_SOURCES; }

// The largest logit of each row that is not forbidden, less the row's normaliser, and the first column that has it.
void nmt_best_pieces(const Logits* logits, float* values, int64_t* pieces, float* normalisers) {
    std::vector<float> maxima;
    for (int64_t n = 0; n < logits->rows; ++n) {
        const Best best = logits->best(n, maxima);
        values[n] = best.value, pieces[n] = best.column, normalisers[n] = best.normaliser;
    }
}

}  // extern "C"
