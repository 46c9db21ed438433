// The exponential of sixteen floats at a time.
#pragma once

#include "arrays.h"
#include "lanes.h"

namespace nmt::NMT_SET {

// exp(x): 2^n times a polynomial of degree 5 in the remainder (relative error below 3e-7). NaN stays NaN; -inf gives 1e-38.
inline Floats exp16(Floats x) {
    x = largest(all(-87.0f), x);  // of an operand that is NaN, this gives the second one
    x = least(all(88.0f), x);
    const Floats scaled = x * all(1.44269504089f), whole = rounded(scaled), rest = scaled - whole;
    Floats power = all(1.33335581e-3f);
    power = fmadd(power, rest, all(9.61812911e-3f));
    power = fmadd(power, rest, all(5.55041087e-2f));
    power = fmadd(power, rest, all(2.40226507e-1f));
    power = fmadd(power, rest, all(6.93147181e-1f));
    power = fmadd(power, rest, all(1.0f));
    return scaled_by_powers(power, whole);
}

}  // namespace nmt::NMT_SET
