// The functions of the engine that Python calls, with the instruction set that this processor has or the caller wants. Compiled, as
// candidates.cpp and columns.cpp are, for any x86-64.
#include <cpuid.h>

#include "engine.h"
#include "tiles.h"

using namespace nmt;

namespace {

// As SETS in nmt/native/__init__.py numbers them; a later one is the faster one.
enum Set : int64_t { AVX2, AVXVNNI, AVX512, AMX };

const Functions* chosen = nullptr;
int64_t chosen_set = -1;

// The parts of the processor's state that the system saves: without them the instructions are there and fault.
unsigned saved_state() {
    unsigned a, b, c, d;
    constexpr unsigned OSXSAVE = 1u << 27;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE)) return 0;
    asm("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return a;
}

bool has(unsigned bits, unsigned wanted) { return (bits & wanted) == wanted; }

bool available(int64_t set) {
    unsigned a, b, c, d;
    constexpr unsigned YMM = 0x6, ZMM = 0xE6, FMA = 1u << 12, F16C = 1u << 29, POPCNT = 1u << 23;
    const unsigned saved = saved_state();
    if (!has(saved, YMM) || !__get_cpuid(1, &a, &b, &c, &d) || !has(c, FMA | F16C | POPCNT)) return false;
    unsigned ebx, ecx;
    constexpr unsigned AVX2_BIT = 1u << 5, F = 1u << 16, DQ = 1u << 17, BW = 1u << 30, VL = 1u << 31, VNNI = 1u << 11;
    if (!__get_cpuid_count(7, 0, &a, &ebx, &ecx, &d) || !has(ebx, AVX2_BIT)) return false;
    const bool avx512 = has(saved, ZMM) && has(ebx, F | DQ | BW | VL) && has(ecx, VNNI);
    switch (set) {
        case AVX2: return true;
#ifdef NMT_AVXVNNI
        case AVXVNNI: return __get_cpuid_count(7, 1, &a, &b, &c, &d) && has(a, 1u << 4);
#endif
        case AVX512: return avx512;
        case AMX: return avx512 && ask_for_tiles();
        default: return false;
    }
}

const Functions* functions_of(int64_t set) {
    switch (set) {
        case AVX2: return &avx2::FUNCTIONS;
#ifdef NMT_AVXVNNI
        case AVXVNNI: return &avxvnni::FUNCTIONS;
#endif
        default: return &avx512::FUNCTIONS;
    }
}

}  // namespace

extern "C" {

// Which sources this library was made of.
uint32_t nmt_sources() { return NMT_SOURCES; }

// Which sets this processor has: a bit for each.
int64_t nmt_sets() {
    int64_t sets = 0;
    for (int64_t set = AVX2; set <= AMX; ++set) sets |= static_cast<int64_t>(available(set)) << set;
    return sets;
}

// All further calls, of all threads, are of this set, one of those that the processor has.
void nmt_use_set(int64_t set) {
    tiles_in_use = set == AMX;
    chosen = functions_of(set);
    chosen_set = set;
}

// The one that was chosen last; -1: none.
int64_t nmt_set() { return chosen_set; }

// outputs [rows][columns] = inputs [rows][matrix.inputs] W' + b.
void nmt_linear(const Matrix* matrix, const float* inputs, int64_t rows, float* outputs) { chosen->linear(*matrix, inputs, rows, outputs); }

// The same in half precision.
void nmt_linear_half(const Matrix* matrix, const float* inputs, int64_t rows, uint16_t* outputs) {
    chosen->linear_half(*matrix, inputs, rows, outputs);
}

// states [positions][hidden] of the pieces of several sentences, one after the other without padding, and the same in half precision;
// `order` names the sentences longest first. Returns -1, or which of the pieces the tables do not have; then nothing is written.
int64_t nmt_encode(const Encoder* encoder, int64_t sentences, const int64_t* order, const int64_t* offsets, const int64_t* pieces, float* states,
                   uint16_t* halves) {
    return chosen->encode(*encoder, sentences, order, offsets, pieces, states, halves);
}

// One target position of all rows. Returns -1, or a row whose piece is no column or not in the table; then nothing is written.
int64_t nmt_step(const Decoder* decoder, const Matrix* output, const Memory* memory, const Step* step) {
    return chosen->step(*decoder, *output, *memory, *step);
}

// Greedy search without scores.
void nmt_greedy(const Decoder* decoder, const Matrix* output, const Memory* memory, Greedy* greedy) {
    chosen->greedy(*decoder, *output, *memory, *greedy);
}

// The largest logit of each row that is not forbidden, less the row's normaliser, and the first column that has it.
void nmt_best_pieces(const Logits* logits, float* values, int64_t* pieces, float* normalisers) {
    chosen->best_pieces(*logits, values, pieces, normalisers);
}

// What a beam search picks, and the front of the prefixes that go on.
void nmt_advance(const Logits* logits, Advance* advance) { chosen->advance(*logits, *advance); }

}  // extern "C"
