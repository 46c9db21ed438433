// What one core can multiply at most in an instruction set: a loop of the engine's instructions for 8-bit products that touches registers
// alone. SET is one of AVX2, AVXVNNI, AVX512 and AMX; the set decides what the assembler has to know.
#include <cstdint>

#define AVX2 1
#define AVXVNNI 2
#define AVX512 3
#define AMX 4

#if SET == AMX
#include <sys/syscall.h>
#include <unistd.h>

struct alignas(64) Configuration {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
#endif

// Registers are named in the assembly instead of being asked for: no vector register outlives a call, and this function uses no other.
#define SUM_AVX2(sums, products) "vpmaddwd %%ymm0, %%ymm1, %%ymm" products "\n vpaddd %%ymm" products ", %%ymm" sums ", %%ymm" sums "\n"
#define SUM_AVXVNNI(sums) "%{vex%} vpdpbusd %%ymm0, %%ymm1, %%ymm" sums "\n"
#define SUM_AVX512(sums) "vpdpbusd %%zmm0, %%zmm1, %%zmm" sums "\n"
#define SUM_AMX(sums) "tdpbusd %%tmm6, %%tmm7, %%tmm" sums "\n"

// Runs the loop so many times and returns how many products of two numbers one round makes, with their sums.
extern "C" [[gnu::noinline]] int64_t nmt_peak(int64_t rounds) {
#if SET == AVX2
    asm volatile("1:\n" SUM_AVX2("2", "8") SUM_AVX2("3", "9") SUM_AVX2("4", "10") SUM_AVX2("5", "11") SUM_AVX2("6", "12") SUM_AVX2("7", "13")
                 "dec %0\n jnz 1b\n vzeroupper" : "+r"(rounds) : : "cc");
    return 6 * 16;
#elif SET == AVXVNNI
    asm volatile("1:\n" SUM_AVXVNNI("2") SUM_AVXVNNI("3") SUM_AVXVNNI("4") SUM_AVXVNNI("5") SUM_AVXVNNI("6") SUM_AVXVNNI("7") SUM_AVXVNNI("8")
                 SUM_AVXVNNI("9") SUM_AVXVNNI("10") SUM_AVXVNNI("11") SUM_AVXVNNI("12") SUM_AVXVNNI("13")
                 "dec %0\n jnz 1b\n vzeroupper" : "+r"(rounds) : : "cc");
    return 12 * 32;
#elif SET == AVX512
    asm volatile("1:\n" SUM_AVX512("2") SUM_AVX512("3") SUM_AVX512("4") SUM_AVX512("5") SUM_AVX512("6") SUM_AVX512("7") SUM_AVX512("8")
                 SUM_AVX512("9") SUM_AVX512("10") SUM_AVX512("11") SUM_AVX512("12") SUM_AVX512("13")
                 "dec %0\n jnz 1b\n vzeroupper" : "+r"(rounds) : : "cc");
    return 12 * 64;
#else
    constexpr long REQUEST = 0x1023, TILE_DATA = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA: Linux lends the tiles to who asks
    if (syscall(SYS_arch_prctl, REQUEST, TILE_DATA)) return 0;
    const Configuration configuration;
    asm volatile("ldtilecfg %1\n tilezero %%tmm6\n tilezero %%tmm7\n 1:\n" SUM_AMX("0") SUM_AMX("1") SUM_AMX("2") SUM_AMX("3")
                 "dec %0\n jnz 1b\n tilerelease" : "+r"(rounds) : "m"(configuration) : "cc");
    return 4 * 16 * 16 * 64;
#endif
}
