// Greedy search without scores, all steps of a batch in one call: the pieces of nmt/search/greedy.py.
#include <cmath>
#include <numeric>

#include "cells.h"
#include "engine.h"
#include "look.h"

namespace nmt::NMT_SET {

namespace {

// The sentences that are being written: a row each.
struct Live {
    Buffer<int64_t> sentences, pieces, parents;
    Buffer<float> totals;

    void keep(const Buffer<int64_t>& rows) {
        for (size_t n = 0; n < rows.size(); ++n)
            sentences[n] = sentences[rows[n]], pieces[n] = pieces[rows[n]], totals[n] = totals[rows[n]];
        sentences.resize(rows.size()), pieces.resize(rows.size()), totals.resize(rows.size());
        parents = rows;
    }
};

// Chooses the next piece of each row and returns the rows that go on. A total that is not finite shows logits that allow nothing.
Buffer<int64_t> choose(Greedy& g, const Memory& memory, float* logits, int64_t length, Live& live) {
    const bool early = length < g.min_length;
    const int64_t rows = live.sentences.size();
    const Logits looked{logits, rows, memory.width, early ? g.early : g.never, early ? g.early_count : g.never_count, 0};
    Buffer<float> maxima;
    Buffer<int64_t> going;
    for (int64_t n = 0; n < rows; ++n) {
        const int64_t sentence = live.sentences[n];
        Best best = best_of(looked, n, maxima);
        if (length >= g.max_lengths[sentence]) best = {row_of(looked, n)[g.eos], g.eos, 0};
        live.totals[n] += best.value, live.pieces[n] = best.column;
        g.pieces[sentence * g.room + length - 1] = best.column;
        if (best.column != g.eos) {
            going.push_back(n);
        } else {
            g.lengths[sentence] = length;
            if (!std::isfinite(live.totals[n]) && g.failed < 0) g.failed = sentence;
        }
    }
    return going;
}

}  // namespace

void greedy(const Decoder& decoder, const Matrix& output, const Memory& memory, Greedy& g) {
    const int64_t size = decoder.layers * state_parts(decoder.cells[0]) * decoder.hidden;  // of a row's state
    Buffer<float> before, after, logits(g.sentences * memory.width);
    Live live{Buffer<int64_t>(g.sentences), Buffer<int64_t>(g.sentences, g.bos), {}, Buffer<float>(g.sentences, 0.0f)};
    std::iota(live.sentences.begin(), live.sentences.end(), 0);
    g.failed = -1;
    int64_t rows_before = g.sentences;
    for (int64_t length = 1; !live.sentences.empty() && g.failed < 0; ++length) {
        const int64_t rows = live.sentences.size();
        after.resize(rows * size);
        const Step now{rows, rows_before, rows, live.pieces.data(), live.parents.empty() ? nullptr : live.parents.data(), live.sentences.data(),
                        length > 1 ? before.data() : g.first, after.data(), logits.data()};
        step(decoder, output, memory, now);
        live.keep(choose(g, memory, logits.data(), length, live));
        std::swap(before, after);
        rows_before = rows;
    }
}

}  // namespace nmt::NMT_SET
