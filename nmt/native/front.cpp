// A step of beam search after its logits: what nmt/search/kernels.py does, sentence by sentence.
#include "engine.h"
#include "look.h"

namespace nmt::NMT_SET {

namespace {

struct Candidate {
    float total;
    int64_t slot, piece;
};

// What becomes of a sentence.
struct Outcome {
    int64_t finished, live;  // of its picks
    Buffer<Candidate> candidates;
    Buffer<int64_t> order;  // the numbers of the live picks, then of the others
    Buffer<float> best;
};

// The best so far, best first; of equal totals the one that came first.
void insert(Buffer<Candidate>& best, size_t count, Candidate candidate) {
    if (best.size() == count) best.pop_back();
    auto place = best.end();
    while (place != best.begin() && (place - 1)->total < candidate.total) --place;
    best.insert(place, candidate);
}

// The best continuations of a sentence's rows, best first, equal totals by slot, then by column:
// total = (logit - normaliser) + log-probability of the row. Where there are fewer, totals of -inf fill up.
void find_best(const Advance& a, const Logits& logits, int64_t b, Buffer<Candidate>& best) {
    Buffer<float> maxima;
    float worst = -INFINITY;  // a candidate has to be better
    for (int64_t k = 0; k < a.beam; ++k) {
        const int64_t row = b * a.beam + k;
        const float prefix = a.log_probs[row];
        if (prefix == -INFINITY) continue;
        const float normaliser = look(logits, row, maxima);
        for (int64_t m = 0; m < logits.columns / BLOCK; ++m) {
            if (!((maxima[m] - normaliser) + prefix > worst)) continue;
            const float* block = row_of(logits, row) + m * BLOCK;
            for (int64_t i = 0; i < BLOCK; ++i) {
                const float total = (block[i] - normaliser) + prefix;
                if (!(total > worst)) continue;
                insert(best, a.picks, {total, k, m * BLOCK + i});
                if (static_cast<int64_t>(best.size()) == a.picks) worst = best.back().total;
            }
        }
    }
    best.resize(a.picks, {-INFINITY, 0, 0});
}

// The ends of a sentence's prefixes, slot by slot: all that may follow at its max_length.
void find_ends(const Advance& a, const Logits& logits, int64_t b, Buffer<Candidate>& ends) {
    Buffer<float> maxima;
    for (int64_t k = 0; k < a.beam; ++k) {
        const int64_t row = b * a.beam + k;
        const float normaliser = look(logits, row, maxima);
        ends.push_back({(row_of(logits, row)[a.eos] - normaliser) + a.log_probs[row], k, a.eos});
    }
    ends.resize(a.picks, {-INFINITY, a.beam - 1, a.eos});
}

// Keeps the best scores, best first, and another one.
void raise(Buffer<float>& best, float score) {
    for (float& each : best)
        if (score > each) std::swap(score, each);
}

// Picks the candidates that fit into the free slots of a sentence.
Outcome pick(const Advance& a, const Logits& logits, int64_t b) {
    Outcome outcome{0, 0, {}, {}, {a.best + b * a.n_best, a.best + (b + 1) * a.n_best}};
    (a.max_lengths[b] == a.length ? find_ends : find_best)(a, logits, b, outcome.candidates);
    Buffer<int64_t> others;
    for (int64_t p = 0; p < a.picks; ++p) {
        const Candidate& candidate = outcome.candidates[p];
        const int64_t each = b * a.picks + p;
        const bool kept = p < a.free[b] && candidate.total > -INFINITY, finished = kept && candidate.piece == a.eos;
        a.parents[each] = a.origins[b * a.beam + candidate.slot], a.pieces[each] = candidate.piece;
        a.log_probs_now[each] = kept ? candidate.total : -INFINITY;
        a.scores[each] = finished ? candidate.total / a.divisors[a.length - 1] : -INFINITY;
        raise(outcome.best, a.scores[each]);
        outcome.finished += finished;
        (kept && !finished ? outcome.order : others).push_back(p);
    }
    outcome.live = outcome.order.size();
    outcome.order.insert(outcome.order.end(), others.begin(), others.end());
    const float bound = outcome.candidates[outcome.order[0]].total / a.divisors[a.max_lengths[b] - 1];  // on what the best prefix may become
    if (outcome.live && bound <= outcome.best.back()) outcome.live = 0;
    return outcome;
}

// As `staying` of nmt/search/step.py: `stay` gets the sentences that stay; returns how many.
int64_t choose_staying(const Advance& a, const Buffer<Outcome>& outcomes) {
    const int64_t count = std::count_if(outcomes.begin(), outcomes.end(), [](const Outcome& each) { return each.live > 0; });
    const int64_t room = count <= a.few ? count : (count + a.multiple - 1) / a.multiple * a.multiple;
    int64_t passengers = count && room >= a.sentences ? a.sentences : room - count, staying = 0;
    for (int64_t b = 0; b < a.sentences; ++b)
        if (outcomes[b].live || passengers-- > 0) a.stay[staying++] = b;
    return staying;
}

// Writes the part of the front after, and of its rows, that belongs to the sentence that was number b and is number s.
void go_on(const Advance& a, int64_t b, int64_t s, const Outcome& outcome) {
    a.numbers_after[s] = a.numbers[b], a.max_lengths_after[s] = a.max_lengths[b], a.free_after[s] = a.free[b] - outcome.finished;
    std::copy(outcome.best.begin(), outcome.best.end(), a.best_after + s * a.n_best);
    for (int64_t k = 0; k < a.width; ++k) {
        const int64_t row = s * a.width + k, p = outcome.order[k];
        const Candidate& candidate = outcome.candidates[p];
        a.log_probs_after[row] = k < outcome.live ? candidate.total : -INFINITY;
        a.origins_after[row] = a.picked + b * a.picks + p;
        a.pieces_after[row] = candidate.piece, a.rows_after[row] = b * a.beam + candidate.slot;
    }
}

}  // namespace

void advance(const Logits& logits, Advance& a) {
    Buffer<Outcome> outcomes;
    a.width = 0;
    for (int64_t b = 0; b < a.sentences; ++b) {
        outcomes.push_back(pick(a, logits, b));
        a.width = std::max(a.width, outcomes[b].live);
    }
    a.staying = choose_staying(a, outcomes);
    for (int64_t s = 0; s < a.staying; ++s) go_on(a, a.stay[s], s, outcomes[a.stay[s]]);
}

}  // namespace nmt::NMT_SET
