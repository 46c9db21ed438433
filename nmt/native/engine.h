// What the functions of the 8-bit engine are given. Every array is the caller's.
#pragma once

#include "cells.h"

namespace nmt {

// Mirrors EncoderArrays in nmt/native/__init__.py.
struct Encoder {
    int64_t layers;
    int64_t hidden;              // both directions together
    const CellWeights* cells;    // [layers][2]: forwards, backwards
    const uint16_t* const* tables;  // [2]: of the first layer, the part of the gates that a piece makes, half precision; bias included
    const Matrix* inputs;        // [layers - 1][2]: of the other layers
};

// Mirrors DecoderArrays. The upper layers read [state below; context; own state].
struct Decoder {
    int64_t layers;
    int64_t hidden;
    int64_t heads;
    const uint16_t* table;     // of the first layer, the part of the gates that a piece makes, half precision; bias included
    const CellWeights* cells;  // [layers]
    const Matrix* combine;     // [state; context] -> the vector before the output layer
};

// What the decoder reads of a batch of sources; mirrors MemoryArrays.
struct Memory {
    const uint16_t* keys;     // [positions][hidden], half precision
    const uint16_t* values;   // [positions][hidden]
    const int64_t* offsets;   // [sentences + 1]: the positions of each sentence
    const int64_t* candidates;  // [sentences][width]: the pieces that the columns of a sentence's logits stand for; null: all pieces
    int64_t width;              // of the logits, a multiple of 64: as much as any sentence needs
    const uint64_t* allowed;    // [sentences][columns / 64] bits: the columns of the output layer that are a sentence's candidates; with these
    const float* others;        // [sentences]: the logarithm of how many pieces are no candidates of a sentence; with these
    float half_variance;        // of the rows of the output layer
};

// What a step reads and writes; mirrors StepArrays.
struct Step {
    int64_t rows;              // of this step, equally many for each sentence, one sentence after the other
    int64_t rows_before;       // of the state before
    int64_t sentences;
    const int64_t* pieces;     // [rows]: the column of the last piece
    const int64_t* parents;    // [rows]: which row of the state before goes on; null: row by row
    const int64_t* sentence;   // [sentences]: which sentence of the memory
    const float* before;       // [layers][parts][rows_before][hidden]
    float* after;              // [layers][parts][rows][hidden]
    float* logits;             // [rows][width]
};

}  // namespace nmt

extern "C" {

// One target position of all rows.
void nmt_step(const nmt::Decoder* decoder, const nmt::Matrix* output, const nmt::Memory* memory, const nmt::Step* step);

}  // extern "C"
