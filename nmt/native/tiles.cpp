// AMX-INT8: 16,384 products an instruction. Left out where the compiler or the system knows no tiles.
#include "tiles.h"

#if defined(__linux__) && defined(__AMX_INT8__)

#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nmt {

namespace {

constexpr int TILE_BYTES = 64;  // of a row
constexpr int PANEL_ROW = 4 * TILE_BYTES;

// What ldtilecfg reads: eight tiles of 16 rows of 64 bytes.
struct alignas(64) Configuration {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

}  // namespace

bool tiles_in_use = false;

bool ask_for_tiles() {
    constexpr unsigned TILE = 1u << 24, INT8 = 1u << 25;
    constexpr long REQUEST = 0x1023, TILE_DATA = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & (TILE | INT8)) != (TILE | INT8)) return false;
    return syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}

Tiles::Tiles(bool wanted) {
    static const Configuration configuration;
    usable_ = wanted && tiles_in_use;
    if (!usable_) return;
    _tile_storeconfig(before_);
    _tile_loadconfig(&configuration);
}

Tiles::~Tiles() {
    if (usable_) _tile_loadconfig(before_);
}

void multiply_tile(const int8_t* panel, int64_t inputs, const uint8_t* rows, int64_t stride, int32_t* sums) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t i = 0; i < inputs; i += TILE_BYTES, panel += TILE_BYTES * TILE_BYTES) {
        _tile_loadd(4, rows + i, stride);
        _tile_loadd(5, panel, PANEL_ROW);
        _tile_dpbusd(0, 4, 5);
        _tile_loadd(6, panel + TILE_BYTES, PANEL_ROW);
        _tile_dpbusd(1, 4, 6);
        _tile_loadd(7, panel + 2 * TILE_BYTES, PANEL_ROW);
        _tile_dpbusd(2, 4, 7);
        _tile_loadd(5, panel + 3 * TILE_BYTES, PANEL_ROW);
        _tile_dpbusd(3, 4, 5);
    }
    _tile_stored(0, sums, PANEL_ROW);
    _tile_stored(1, sums + 16, PANEL_ROW);
    _tile_stored(2, sums + 32, PANEL_ROW);
    _tile_stored(3, sums + 48, PANEL_ROW);
}

}  // namespace nmt

#else

namespace nmt {

bool tiles_in_use = false;
bool ask_for_tiles() { return false; }
Tiles::Tiles(bool) : usable_(false) {}
Tiles::~Tiles() {}
void multiply_tile(const int8_t*, int64_t, const uint8_t*, int64_t, int32_t*) {}

}  // namespace nmt

#endif
