// Some columns of a matrix, in this order: what a shortlist leaves of the output layer.
#include "arrays.h"

using namespace nmt;

extern "C" {

void nmt_select_columns(const Matrix* matrix, const int64_t* columns, int64_t count, int8_t* weights, float* scales, int32_t* starts, float* bias) {
    constexpr int64_t PANEL = 64;
    const int64_t quads = matrix->inputs / 4;
    for (int64_t c = 0; c < count; ++c) {
        const int64_t column = columns[c];
        scales[c] = matrix->scales[column], starts[c] = matrix->starts[column], bias[c] = matrix->bias[column];
        const int32_t* from = reinterpret_cast<const int32_t*>(matrix->weights) + (column / PANEL * quads) * PANEL + column % PANEL;
        int32_t* to = reinterpret_cast<int32_t*>(weights) + (c / PANEL * quads) * PANEL + c % PANEL;
        for (int64_t q = 0; q < quads; ++q) to[q * PANEL] = from[q * PANEL];
    }
}

}  // extern "C"
