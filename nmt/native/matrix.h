// Products of 8-bit weights and 8-bit vectors, summed in 32 bits: exact, whatever the order and whoever shares the batch. In registers, or in
// AMX tiles where there are any and enough rows for one.
#pragma once

#include <algorithm>
#include <numeric>

#include "arrays.h"
#include "tiles.h"
#include "vector.h"

#if defined(__AVX512F__) || defined(NMT_EMULATED)
#include "products_avx512.h"
#elif defined(__AVXVNNI__)
#include "products_avxvnni.h"
#else
#include "products_avx2.h"
#endif

namespace nmt::NMT_SET {

constexpr int PANEL = 64;      // columns of a panel
constexpr int REGISTERS = PANEL / LANES;
constexpr int FEW_ROWS = 2;    // so many and fewer are multiplied sooner in registers than in a tile

// One stretch of a vector that is to be multiplied: `size` floats, a multiple of 64.
struct Part {
    const float* values;
    int size;
};

// The parts side by side in 8 bits: value = scale * steps. Returns the scale: the largest magnitude is 127 steps; NaN, if a value is not finite,
// or 8 bits would hide it.
// It depends on this vector alone, so that no product depends on the other rows of its batch.
template <int PARTS>
inline float quantise(const Part (&parts)[PARTS], Steps* steps) {
    Floats largest_yet = zeros(), undefined = zeros();
    for (const Part& part : parts) {
        for (int i = 0; i < part.size; i += LANES) {
            const Floats values = load(part.values + i);
            largest_yet = largest(magnitude(values), largest_yet), undefined = fmadd(values, zeros(), undefined);
        }
    }
    const float most = largest_of(largest_yet) + sum_of(undefined);
    const Floats factor = all(most > 0 ? 127.0f / most : 0.0f);
    for (const Part& part : parts) {
        for (int i = 0; i < part.size; i += LANES) store_steps(steps + i, load(part.values + i) * factor);
        steps += part.size;
    }
    return most / 127.0f;
}

// The vectors that are multiplied: rows of steps and their scales.
struct Inputs {
    Buffer<Steps> steps;
    Buffer<float> scales;
    int64_t width = 0;

    void resize(int64_t rows, int64_t size) {
        width = size;
        const int64_t room = (rows + TILE_ROWS) * size;  // a tile may begin at any row and reads sixteen
        if (static_cast<int64_t>(steps.size()) < room) steps.resize(room);
        if (static_cast<int64_t>(scales.size()) < rows) scales.resize(rows);
    }
    // All rows of `size` floats, each quantised by itself.
    void fill(const float* values, int64_t rows, int64_t size) {
        resize(rows, size);
        for (int64_t n = 0; n < rows; ++n) scales[n] = quantise<1>({{values + n * size, static_cast<int>(size)}}, row(n));
    }
    Steps* row(int64_t n) { return steps.data() + n * width; }
    const Steps* row(int64_t n) const { return steps.data() + n * width; }
};

// The products of one row and a panel, from their sums: as floats, without bias.
inline void unscale(const Matrix& matrix, int64_t panel, const int32_t* sums, float scale, Floats (&products)[REGISTERS]) {
    UNROLL
    for (int c = 0; c < REGISTERS; ++c) {
        const int64_t column = panel * PANEL + c * LANES;
        Ints whole = load(sums + c * LANES);
        if constexpr (OFFSET) whole = sum(whole, load(matrix.starts + column));
        products[c] = as_floats(whole) * (load(matrix.scales + column) * all(scale));
    }
}

// use(panel, row, products) for each of `count` rows, from their sums [count][64].
template <typename Use>
inline void use_sums(const Matrix& matrix, int64_t panel, const Inputs& inputs, const int64_t* rows, int64_t count, const int32_t* sums, Use&& use) {
    for (int64_t r = 0; r < count; ++r) {
        Floats products[REGISTERS];
        unscale(matrix, panel, sums + r * PANEL, inputs.scales[rows[r]], products);
        use(panel, rows[r], products);
    }
}

// The same for at most MAX_ROWS rows in registers.
template <typename Use>
inline void multiply_block(const Matrix& matrix, int64_t panel, const Inputs& inputs, const int64_t* rows, int64_t count, Use&& use) {
    alignas(64) int32_t sums[MAX_ROWS * PANEL];
    const Steps* row[MAX_ROWS];
    for (int64_t r = 0; r < count; ++r) row[r] = inputs.row(rows[r]);
    BLOCKS[count - 1](matrix.weights + panel * matrix.inputs * PANEL, matrix.inputs, row, sums);
    use_sums(matrix, panel, inputs, rows, count, sums, use);
}

// What products of many rows take beside registers, in one call after the other.
struct ForMany {
    explicit ForMany(int64_t rows) : tiles(OFFSET && rows > FEW_ROWS) {}
    Tiles tiles;
    Buffer<uint8_t> copies;
};

#ifdef __AVX512F__
// Where sixteen rows lie one after the other, of which these are the first: where they are, or copied together.
inline const uint8_t* side_by_side(const Inputs& inputs, const int64_t* rows, int64_t count, Buffer<uint8_t>& copies) {
    if (rows[count - 1] - rows[0] == count - 1) return inputs.row(rows[0]);
    copies.resize(TILE_ROWS * inputs.width);
    for (int64_t r = 0; r < count; ++r) std::copy_n(inputs.row(rows[r]), inputs.width, copies.data() + r * inputs.width);
    return copies.data();
}

// The same for at most sixteen rows in a tile.
template <typename Use>
inline void multiply_in_tile(const Matrix& matrix, int64_t panel, const Inputs& inputs, const int64_t* rows, int64_t count, ForMany& aids,
                             Use&& use) {
    alignas(64) int32_t sums[TILE_ROWS * PANEL];
    multiply_tile(matrix.weights + panel * matrix.inputs * PANEL, matrix.inputs, side_by_side(inputs, rows, count, aids.copies), inputs.width, sums);
    use_sums(matrix, panel, inputs, rows, count, sums, use);
}
#endif

// Calls use(panel, row, products) for these rows of one panel, a block of them at a time. `rows` ascend.
template <typename Use>
inline void multiply_rows(const Matrix& matrix, int64_t panel, const Inputs& inputs, const int64_t* rows, int64_t count,
                          [[maybe_unused]] ForMany& aids, Use&& use) {
#ifdef __AVX512F__
    while (aids.tiles.usable() && count > FEW_ROWS) {
        const int64_t block = std::min<int64_t>(count, TILE_ROWS);
        multiply_in_tile(matrix, panel, inputs, rows, block, aids, use);
        count -= block, rows += block;
    }
#endif
    for (; count > 0; count -= MAX_ROWS, rows += MAX_ROWS)
        multiply_block(matrix, panel, inputs, rows, std::min<int64_t>(count, MAX_ROWS), use);
}

// The same for all rows and panels, one panel after the other: it stays in the core's own cache while all rows pass by.
template <typename Use>
inline void multiply(const Matrix& matrix, const Inputs& inputs, int64_t count, Use&& use) {
    Buffer<int64_t> rows(count);
    std::iota(rows.begin(), rows.end(), 0);
    ForMany aids(count);
    for (int64_t panel = 0; panel < matrix.columns / PANEL; ++panel) multiply_rows(matrix, panel, inputs, rows.data(), count, aids, use);
}

// outputs [rows][columns] = inputs W' + b, in single or half precision.
template <typename Number>
inline void linear(const Matrix& matrix, const Inputs& inputs, int64_t rows, Number* outputs) {
    multiply(matrix, inputs, rows, [&](int64_t panel, int64_t row, const Floats (&products)[REGISTERS]) {
        Number* output = outputs + row * matrix.columns + panel * PANEL;
        UNROLL
        for (int c = 0; c < REGISTERS; ++c) store(output + c * LANES, products[c] + load(matrix.bias + panel * PANEL + c * LANES));
    });
}

}  // namespace nmt::NMT_SET
