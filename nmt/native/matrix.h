// Products of 8-bit weights and 8-bit vectors, summed in 32 bits: exact, whatever the order and whoever shares the batch. AVX512-VNNI, and
// AMX tiles where there are enough rows for one.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "tiles.h"
#include "vector.h"

namespace nmt {

constexpr int PANEL = 64;      // columns of a panel: four registers of sums
constexpr int REGISTERS = PANEL / LANES;
constexpr int MAX_ROWS = 6;    // of a block: 6 x 4 sums, 4 weights and 1 input fill the 32 registers
constexpr int FEW_ROWS = 2;    // so many and fewer are multiplied sooner in registers than in a tile

// Weights in panels of 64 columns, quadruples of inputs by quadruples; mirrors MatrixArrays in nmt/native/__init__.py.
struct Matrix {
    const int8_t* weights;  // [columns / 64][inputs / 4][64][4]
    const float* scales;    // [columns]: weight = scale * int8
    const int32_t* starts;  // [columns]: -128 * the sum of the column's int8, which takes the inputs' offset out of the sums
    const float* bias;      // [columns]
    int64_t inputs;         // a multiple of 64
    int64_t columns;        // a multiple of 64
};

// The vectors that are multiplied: rows of bytes and their scales.
struct Inputs {
    Buffer<uint8_t> bytes;
    Buffer<float> scales;
    int64_t width = 0;

    void resize(int64_t rows, int64_t size) {
        width = size;
        const int64_t room = (rows + TILE_ROWS) * size;  // a tile may begin at any row and reads sixteen
        if (static_cast<int64_t>(bytes.size()) < room) bytes.resize(room);
        if (static_cast<int64_t>(scales.size()) < rows) scales.resize(rows);
    }
    // All rows of `size` floats, each quantised by itself.
    void fill(const float* values, int64_t rows, int64_t size) {
        resize(rows, size);
        for (int64_t n = 0; n < rows; ++n) scales[n] = quantise<1>({{values + n * size, static_cast<int>(size)}}, row(n));
    }
    uint8_t* row(int64_t n) { return bytes.data() + n * width; }
    const uint8_t* row(int64_t n) const { return bytes.data() + n * width; }
};

// Adds sixteen sums of four products, unsigned by signed. In assembly because GCC 12 copies the sums about when it is left to it.
inline void add_products(__m512i& sums, __m512i inputs, __m512i weights) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(inputs), "v"(weights));
}

// What a register's sums stand for.
inline __m512 unscaled(__m512i sums, const Matrix& matrix, int64_t panel, int c, float scale) {
    return _mm512_mul_ps(_mm512_cvtepi32_ps(sums), _mm512_mul_ps(_mm512_loadu_ps(matrix.scales + panel * PANEL + c * LANES), _mm512_set1_ps(scale)));
}

// The products of ROWS rows and one panel, as floats without bias: result[row][register].
template <int ROWS>
inline void multiply_panel(const Matrix& matrix, int64_t panel, const Inputs& inputs, const int64_t* rows, __m512 (&result)[ROWS][REGISTERS]) {
    __m512i sums[ROWS][REGISTERS];
    UNROLL
    for (auto& row : sums)
        UNROLL
        for (int c = 0; c < REGISTERS; ++c) row[c] = _mm512_loadu_si512(matrix.starts + panel * PANEL + c * LANES);
    const int8_t* weights = matrix.weights + panel * matrix.inputs * PANEL;
    const uint8_t* row[ROWS];
    UNROLL
    for (int r = 0; r < ROWS; ++r) row[r] = inputs.row(rows[r]);
    for (int64_t i = 0; i < matrix.inputs; i += 4, weights += 4 * PANEL) {
        __m512i column[REGISTERS];
        UNROLL
        for (int c = 0; c < REGISTERS; ++c) column[c] = _mm512_loadu_si512(weights + c * 64);
        UNROLL
        for (int r = 0; r < ROWS; ++r) {
            const __m512i input = _mm512_set1_epi32(*reinterpret_cast<const int32_t*>(row[r] + i));
            UNROLL
            for (int c = 0; c < REGISTERS; ++c) add_products(sums[r][c], input, column[c]);
        }
    }
    UNROLL
    for (int c = 0; c < REGISTERS; ++c)
        UNROLL
        for (int r = 0; r < ROWS; ++r) result[r][c] = unscaled(sums[r][c], matrix, panel, c, inputs.scales[rows[r]]);
}

template <int ROWS, typename Use>
inline void multiply_block(const Matrix& matrix, int64_t panel, const Inputs& inputs, const int64_t* rows, Use&& use) {
    __m512 products[ROWS][REGISTERS];
    multiply_panel<ROWS>(matrix, panel, inputs, rows, products);
    UNROLL
    for (int r = 0; r < ROWS; ++r) use(panel, rows[r], products[r]);
}

// Where sixteen rows lie one after the other, of which these are the first: where they are, or copied together.
inline const uint8_t* side_by_side(const Inputs& inputs, const int64_t* rows, int64_t count, Buffer<uint8_t>& copies) {
    if (rows[count - 1] - rows[0] == count - 1) return inputs.row(rows[0]);
    copies.resize(TILE_ROWS * inputs.width);
    for (int64_t r = 0; r < count; ++r) std::copy_n(inputs.row(rows[r]), inputs.width, copies.data() + r * inputs.width);
    return copies.data();
}

// At most sixteen rows in a tile.
template <typename Use>
inline void multiply_in_tile(const Matrix& matrix, int64_t panel, const Inputs& inputs, const int64_t* rows, int64_t count,
                             Buffer<uint8_t>& copies, Use&& use) {
    alignas(64) int32_t sums[TILE_ROWS][PANEL];
    multiply_tile(matrix.weights + panel * matrix.inputs * PANEL, matrix.inputs, side_by_side(inputs, rows, count, copies), inputs.width, sums[0]);
    __m512i starts[REGISTERS];
    UNROLL
    for (int c = 0; c < REGISTERS; ++c) starts[c] = _mm512_loadu_si512(matrix.starts + panel * PANEL + c * LANES);
    for (int64_t r = 0; r < count; ++r) {
        __m512 products[REGISTERS];
        UNROLL
        for (int c = 0; c < REGISTERS; ++c)
            products[c] = unscaled(_mm512_add_epi32(_mm512_load_si512(sums[r] + c * LANES), starts[c]), matrix, panel, c, inputs.scales[rows[r]]);
        use(panel, rows[r], products);
    }
}

// Calls use(panel, row, products) for these rows of one panel, a block of them at a time. `rows` ascend.
template <typename Use>
inline void multiply_rows(const Matrix& matrix, int64_t panel, const Inputs& inputs, const int64_t* rows, int64_t count, const Tiles& tiles,
                          Buffer<uint8_t>& copies, Use&& use) {
    while (tiles.usable() && count > FEW_ROWS) {
        const int64_t block = std::min<int64_t>(count, TILE_ROWS);
        multiply_in_tile(matrix, panel, inputs, rows, block, copies, use);
        count -= block, rows += block;
    }
    for (; count >= MAX_ROWS; count -= MAX_ROWS, rows += MAX_ROWS) multiply_block<MAX_ROWS>(matrix, panel, inputs, rows, use);
    switch (count) {
        case 1: multiply_block<1>(matrix, panel, inputs, rows, use); break;
        case 2: multiply_block<2>(matrix, panel, inputs, rows, use); break;
        case 3: multiply_block<3>(matrix, panel, inputs, rows, use); break;
        case 4: multiply_block<4>(matrix, panel, inputs, rows, use); break;
        case 5: multiply_block<5>(matrix, panel, inputs, rows, use); break;
    }
}

// The same for all rows and panels, one panel after the other: it stays in the core's own cache while all rows pass by.
template <typename Use>
inline void multiply(const Matrix& matrix, const Inputs& inputs, int64_t count, Use&& use) {
    std::vector<int64_t> rows(count);
    std::iota(rows.begin(), rows.end(), 0);
    const Tiles tiles(count > FEW_ROWS);
    Buffer<uint8_t> copies;
    for (int64_t panel = 0; panel < matrix.columns / PANEL; ++panel) multiply_rows(matrix, panel, inputs, rows.data(), count, tiles, copies, use);
}

// outputs [rows][columns] = inputs W' + b, in single or half precision.
template <typename Number>
inline void linear(const Matrix& matrix, const Inputs& inputs, int64_t rows, Number* outputs) {
    multiply(matrix, inputs, rows, [&](int64_t panel, int64_t row, const __m512(&products)[REGISTERS]) {
        Number* output = outputs + row * matrix.columns + panel * PANEL;
        UNROLL
        for (int c = 0; c < REGISTERS; ++c)
            store(output + c * LANES, _mm512_add_ps(products[c], _mm512_loadu_ps(matrix.bias + panel * PANEL + c * LANES)));
    });
}

}  // namespace nmt
