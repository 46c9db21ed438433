// The functions of the engine that are compiled for each instruction set, and the table in which dispatch.cpp finds those of one.
#pragma once

#include "arrays.h"

namespace nmt {

// What each does stands beside its name in dispatch.cpp.
struct Functions {
    void (*linear)(const Matrix& matrix, const float* inputs, int64_t rows, float* outputs);
    void (*linear_half)(const Matrix& matrix, const float* inputs, int64_t rows, uint16_t* outputs);
    int64_t (*encode)(const Encoder& encoder, int64_t sentences, const int64_t* order, const int64_t* offsets, const int64_t* pieces, float* states,
                      uint16_t* halves);
    int64_t (*step)(const Decoder& decoder, const Matrix& output, const Memory& memory, const Step& step);
    void (*greedy)(const Decoder& decoder, const Matrix& output, const Memory& memory, Greedy& greedy);
    void (*best_pieces)(const Logits& logits, float* values, int64_t* pieces, float* normalisers);
    void (*advance)(const Logits& logits, Advance& advance);
};

namespace avx2 {
extern const Functions FUNCTIONS;
}
namespace avxvnni {
extern const Functions FUNCTIONS;
}
namespace avx512 {
extern const Functions FUNCTIONS;
}

#ifdef NMT_SET
namespace NMT_SET {

void linear_rows(const Matrix& matrix, const float* inputs, int64_t rows, float* outputs);
void linear_rows_half(const Matrix& matrix, const float* inputs, int64_t rows, uint16_t* outputs);
int64_t encode(const Encoder& encoder, int64_t sentences, const int64_t* order, const int64_t* offsets, const int64_t* pieces, float* states,
               uint16_t* halves);
int64_t step(const Decoder& decoder, const Matrix& output, const Memory& memory, const Step& step);
void greedy(const Decoder& decoder, const Matrix& output, const Memory& memory, Greedy& greedy);
void best_pieces(const Logits& logits, float* values, int64_t* pieces, float* normalisers);
void advance(const Logits& logits, Advance& advance);

}  // namespace NMT_SET
#endif

}  // namespace nmt
