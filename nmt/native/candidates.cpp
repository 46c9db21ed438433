// The candidates of a batch, as nmt/engines/shortlist.py has them for one sentence, and their places in the output layer.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "arrays.h"

using namespace nmt;

namespace {

constexpr int64_t WORD = 64;

int64_t words(int64_t size) { return (size + WORD - 1) / WORD; }

// Calls use(number) for each bit that is set.
template <typename Use>
void for_each(const uint64_t* bits, int64_t count, Use&& use) {
    for (int64_t w = 0; w < count; ++w)
        for (uint64_t rest = bits[w]; rest; rest &= rest - 1) use(w * WORD + __builtin_ctzll(rest));
}

// The candidates of one sentence.
void mark(const Shortlist& shortlist, const int64_t* source, int64_t length, uint64_t* bits) {
    std::copy_n(shortlist.always, words(shortlist.pieces), bits);
    bool spelt = false;
    for (int64_t s = 0; s < length; ++s) {
        const int32_t* best = shortlist.best + source[s] * shortlist.best_count;
        for (int64_t x = 0; x < shortlist.best_count; ++x) bits[best[x] / WORD] |= uint64_t{1} << best[x] % WORD;
        spelt |= shortlist.is_byte[source[s]];
    }
    for (int64_t w = 0; spelt && w < words(shortlist.pieces); ++w) bits[w] |= shortlist.bytes[w];
}

// Writes the outputs; returns where among them each piece is.
std::vector<int64_t> order(const Shortlist& shortlist, Candidates& c, const std::vector<uint64_t>& bits) {
    std::vector<int64_t> users(shortlist.pieces), owner(shortlist.pieces), place(shortlist.pieces);
    const int64_t size = words(shortlist.pieces);
    for (int64_t b = 0; b < c.sentences; ++b)
        for_each(bits.data() + b * size, size, [&](int64_t piece) {
            if (!users[piece]++) owner[piece] = b;
        });
    std::vector<std::vector<int64_t>> groups(c.sentences + 1);
    for (int64_t piece = 0; piece < shortlist.pieces; ++piece)
        if (users[piece]) groups[users[piece] > shortlist.shared * c.sentences ? 0 : owner[piece] + 1].push_back(piece);
    int64_t count = 0;
    for (const auto& group : groups)
        for (const int64_t piece : group) place[piece] = count, c.outputs[count++] = piece;
    c.columns = words(count) * WORD;
    std::fill(c.outputs + count, c.outputs + c.columns, c.padding);
    return place;
}

}  // namespace

extern "C" {

// Writes the outputs, counts, allowed and own candidates of a batch, and how many columns and candidates of a sentence there are. Returns -1,
// or which of the source pieces is none; then nothing is written.
int64_t nmt_candidates(const Shortlist* shortlist, Candidates* candidates) {
    Candidates& c = *candidates;
    const int64_t none = first_beyond(c.source, c.sentences * c.length, shortlist->source_pieces);
    if (none >= 0) return none;
    const int64_t size = words(shortlist->pieces);
    std::vector<uint64_t> bits(c.sentences * size);
    for (int64_t b = 0; b < c.sentences; ++b) mark(*shortlist, c.source + b * c.length, c.length, bits.data() + b * size);
    const std::vector<int64_t> place = order(*shortlist, c, bits);
    const int64_t panels = c.columns / WORD;
    std::fill_n(c.allowed, c.sentences * panels, 0);
    std::fill_n(c.counts, c.sentences, 0);
    c.width = 0;
    for (int64_t b = 0; b < c.sentences; ++b) {
        for_each(bits.data() + b * size, size, [&](int64_t piece) {
            c.allowed[b * panels + place[piece] / WORD] |= uint64_t{1} << place[piece] % WORD;
            ++c.counts[b];
        });
        c.width = std::max(c.width, words(c.counts[b]) * WORD);
    }
    for (int64_t b = 0; b < c.sentences; ++b) {
        int64_t* own = c.own + b * c.width;
        for_each(c.allowed + b * panels, panels, [&](int64_t output) { *own++ = c.outputs[output]; });
        std::fill(own, c.own + (b + 1) * c.width, c.padding);
    }
    return -1;
}

}  // extern "C"
