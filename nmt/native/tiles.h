// The same products in AMX tiles, where the processor has them: sixteen rows and a panel at a time.
#pragma once

#include <cstdint>

namespace nmt {

constexpr int TILE_ROWS = 16;

// Whether the processor has tiles and Linux lends them to this process, which has to ask for it.
bool ask_for_tiles();

// Whether they are used; dispatch.cpp decides.
extern bool tiles_in_use;

// Makes the tiles of this thread usable while it lives, where they are wanted and exist, and gives them back as they were.
class Tiles {
public:
    explicit Tiles(bool wanted);
    ~Tiles();
    Tiles(const Tiles&) = delete;
    Tiles& operator=(const Tiles&) = delete;
    bool usable() const { return usable_; }

private:
    bool usable_;
    alignas(64) uint8_t before_[64];
};

// sums [16][64] = 16 rows of unsigned bytes by a panel [inputs / 4][64][4] of signed ones. `stride`: bytes from row to row.
void multiply_tile(const int8_t* panel, int64_t inputs, const uint8_t* rows, int64_t stride, int32_t* sums);

}  // namespace nmt
