// What the compiled functions are given: plain numbers and the addresses of their caller's arrays.
//
// The structures of nmt/native/arrays.py have the same fields. build.py reads this file and puts the layout that the compiler chose into the
// library, and Python compares it before it calls anything. So a structure here is lines of fields, and nothing else.
#pragma once

#include <cstdint>

namespace nmt {

// As CELLS in nmt/native/__init__.py numbers them.
enum CellKind : int64_t { LSTM = 0, PEEPHOLE = 1, GRU = 2, TANH = 3 };

using bf16 = uint16_t;

// The first of these indices that a table of `size` rows does not have; -1: it has all.
inline int64_t first_beyond(const int64_t* indices, int64_t count, int64_t size) {
    for (int64_t i = 0; i < count; ++i)
        if (indices[i] < 0 || indices[i] >= size) return i;
    return -1;
}

// Weights in panels of 64 columns, quadruples of inputs by quadruples.
struct Matrix {
    const int8_t* weights;  // [columns / 64][inputs / 4][64][4], -127 to 127
    const float* scales;    // [columns]: weight = scale * int8
    const int32_t* starts;  // [columns]: -128 * the sum of the column's int8, which takes the inputs' offset out of the sums
    const float* bias;      // [columns]
    int64_t inputs;         // a multiple of 64
    int64_t columns;        // a multiple of 64
};

// A cell's weights; the columns of `gates` are in the order that cells.h explains.
struct Cell {
    Matrix gates;            // without a bias
    const uint16_t* bias;    // [columns], half precision
    const float* peepholes;  // [3][units]: in, forget, out; only of a PEEPHOLE cell
    int64_t cell;
    int64_t units;
};

struct Encoder {
    int64_t layers;
    int64_t hidden;                 // both directions together
    int64_t pieces;                 // rows of each table
    const Cell* cells;              // [layers][2]: forwards, backwards
    const uint16_t* const* tables;  // [2]: of the first layer, the part of the gates that a piece makes, half precision; bias included
    const Matrix* inputs;           // [layers - 1][2]: of the other layers
};

// The upper layers read [state below; context; own state].
struct Decoder {
    int64_t layers;
    int64_t hidden;
    int64_t heads;
    int64_t pieces;         // rows of the table
    const uint16_t* table;  // of the first layer, the part of the gates that a piece makes, half precision; bias included
    const Cell* cells;      // [layers]
    const Matrix* combine;  // [state; context] -> the vector before the output layer
};

// What the decoder reads of a batch of sources.
struct Memory {
    const uint16_t* keys;       // [positions][hidden], half precision
    const uint16_t* values;     // [positions][hidden]
    const int64_t* offsets;     // [sentences + 1]: the positions of each sentence
    const int64_t* candidates;  // [sentences][width]: the pieces that the columns of a sentence's logits stand for; null: all pieces
    int64_t width;              // of the logits, a multiple of 64: as much as any sentence needs
    const uint64_t* allowed;    // [sentences][columns / 64] bits: the columns of the output layer that are a sentence's candidates; with these
    const float* others;        // [sentences]: the logarithm of how many pieces are no candidates of a sentence; with these
    float half_variance;        // of the rows of the output layer
};

// What a step reads and writes.
struct Step {
    int64_t rows;             // of this step, equally many for each sentence, one sentence after the other
    int64_t rows_before;      // of the state before
    int64_t sentences;
    const int64_t* pieces;    // [rows]: the column of the last piece
    const int64_t* parents;   // [rows]: which row of the state before goes on; null: row by row
    const int64_t* sentence;  // [sentences]: which sentence of the memory
    const float* before;      // [layers][parts][rows_before][hidden]
    float* after;             // [layers][parts][rows][hidden]
    float* logits;            // [rows][width]
};

// A greedy search. Lengths count the end of sentence.
struct Greedy {
    int64_t sentences;
    int64_t bos;
    int64_t eos;
    int64_t min_length;
    int64_t room;
    const int64_t* max_lengths;  // [sentences], 1 to `room`
    const int64_t* early;        // columns that are not chosen below min_length
    int64_t early_count;
    const int64_t* never;        // nor later on
    int64_t never_count;
    const float* first;          // the state, as Step has it, one row a sentence
    int64_t* pieces;             // [sentences][room]: the columns chosen
    int64_t* lengths;            // [sentences]
    int64_t failed;              // the first sentence whose logits allow nothing; -1: none
};

// The logits [rows][columns] of a step, columns a multiple of 64, and the columns that must not be chosen.
struct Logits {
    float* logits;
    int64_t rows;
    int64_t columns;
    const int64_t* forbidden;
    int64_t forbidden_count;
    int64_t softmax;  // 0: they are log-probabilities already, or nobody asks for these
};

// A step of a beam search after its logits.
struct Advance {
    int64_t sentences;
    int64_t beam;
    int64_t picks;
    int64_t n_best;
    int64_t eos;
    int64_t length;    // of the hypotheses that finish now
    int64_t picked;
    int64_t few;       // this and `multiple`: of nmt/search/step.py
    int64_t multiple;
    // The front before: [sentences], [sentences][beam], and best [sentences][n_best]; divisors: length ** length_alpha from 1 on.
    const int64_t* numbers;
    const int64_t* max_lengths;
    const float* log_probs;
    const int64_t* origins;
    const int64_t* free;
    const float* best;
    const float* divisors;
    // The picks [sentences][picks].
    int64_t* parents;
    int64_t* pieces;
    float* log_probs_now;
    float* scores;
    // The front after, its rows, and the sentences that stay; there is room for all, since the caller cannot know how many these are.
    int64_t* numbers_after;
    int64_t* max_lengths_after;
    float* log_probs_after;
    int64_t* origins_after;
    int64_t* free_after;
    float* best_after;
    int64_t* pieces_after;
    int64_t* rows_after;
    int64_t* stay;
    int64_t staying;  // how many sentences stay
    int64_t width;    // how many prefixes each of them has
};

// A shortlist. Sets of pieces are bits, in words of 64.
struct Shortlist {
    int64_t source_pieces;
    int64_t pieces;          // of the target
    int64_t best_count;      // of each source piece
    const int32_t* best;     // [source pieces][best_count], pieces of the target
    const uint8_t* is_byte;  // [source pieces]
    const uint64_t* always;  // candidates of every sentence
    const uint64_t* bytes;   // further ones of a sentence in which there is a byte
    float shared;            // of the sentences: a candidate of more of them is grouped with those of all
};

// The candidates of a batch. There is room for as much as there can be; rows follow one another without gaps.
struct Candidates {
    int64_t sentences;
    int64_t length;
    const int64_t* source;  // [sentences][length]
    int64_t* outputs;       // [columns]: all candidates: those of many sentences, then by their first sentence, then `padding` up to whole words
    int64_t* counts;        // [sentences]: how many candidates each has
    uint64_t* allowed;      // [sentences][columns / 64]: which outputs these are
    int64_t* own;           // [sentences][width]: which pieces they are, in the order of the outputs, then `padding`
    int64_t columns;
    int64_t width;
    int64_t padding;
};

// The recurrence of a layer in training. A position is one of the rows * width; G = gates of all units.
struct Recurrence {
    int64_t cell;
    int64_t rows;
    int64_t width;
    int64_t units;
    int64_t reverse;            // read each row from its last position to its first one
    int64_t threads;
    const int64_t* lengths;     // [rows], 1 to width
    const bf16* weights;        // hidden -> gates, forwards in panels of gates, backwards its transpose in panels of units
    const float* bias;          // [G], of both products; of a GRU [units / 16][4][16]: reset, update, and new of the hidden state, of the inputs
    const float* peepholes;     // [3][units]: in, forget, out; only of a PEEPHOLE cell
    bf16* gates;                // [positions][G]: inputs' part of the gates -> gates -> gradients by the inputs' part
    bf16* recurrent;            // [positions][G]: for a GRU the product with the hidden state -> gradients by it; else the same as gates
    float* states;              // [positions][units]: the cells of LSTMs, the hidden states of a GRU in full precision
    bf16* hidden;               // [positions][units]
    const bf16* first_hidden;   // [rows][units]
    const float* first_states;  // [rows][units]
    const bf16* gradients;      // [positions][units], by `hidden`
    float* first_gradients;     // [rows][units], by first_hidden, less what `carried` holds
    float* carried;             // [rows][units], zeros -> gradients by first_states
    float* peephole_gradients;  // [rows][3][units], zeros; only of a PEEPHOLE cell
};

struct Dropout {
    int64_t rows;
    int64_t width;      // of `joined`
    int64_t offset;     // where this part begins there: a multiple of 64, as the widths are
    int64_t size;       // how wide it is
    int64_t threshold;  // bytes below it are dropped
    int64_t seed;
    int64_t single;     // whether the part is in fp32, else in bfloat16
    int64_t backwards;  // from joined to part
    int64_t threads;
    void* part;         // [rows][size]
    bf16* joined;       // [rows][width]
};

struct Softmax {
    int64_t rows;
    int64_t size;
    int64_t threads;
    bf16* logits;            // [rows][size] -> softmax - (1 - smoothing) at the target
    const int64_t* targets;  // [rows]
    float* cross_entropy;    // [rows], nats
    float* log_sums;         // [rows]: logarithms of the sums of the logits' exponentials
    float smoothing;
};

struct RDrop {
    int64_t rows;
    int64_t size;
    int64_t threads;
    bf16* first;             // [rows][size], of the first pass: logits -> gradients
    bf16* second;            // of the second one
    const int64_t* targets;  // [rows]
    float* loss;             // [rows], nats
    float* cross_entropy;    // [rows], without smoothing and divergence
    float smoothing;
    float alpha;
};

}  // namespace nmt
