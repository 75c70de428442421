// window_units.glsl - window.glsl in units of eight halves (units.glsl); with the constant NARROW, whose source has
// four channels, a unit is two taps side by side. Compiled into spirv/, too.
#define UNIT uvec4
#include "window.glsl"

int source_units() { return NARROW != 0 ? 1 : p.src_c4 / 2; }

uvec4 load_unit(int pixel, int unit) { return Units(p.src).v[pixel * (p.src_c4 / 2) + unit]; }

uvec4 load_taps(int row, int x) {
    if (NARROW == 0)
        return load_tap(row, x);
    x += 2 * tap_x;
    HalfUnits src = HalfUnits(p.src);
    const uvec2 first = x >= 0 && x < p.src_w ? src.v[row + x] : uvec2(0);
    const uvec2 second = x + 1 >= 0 && x + 1 < p.src_w ? src.v[row + x + 1] : uvec2(0);
    return uvec4(first, second);
}
