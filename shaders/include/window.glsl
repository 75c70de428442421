// window.glsl - which source pixels a tile of an implicit matrix product reads, shared by the kernels that stage them.
//
// A row of the product's left matrix is an output pixel; its columns k run over units of channels within a tap,
// then over taps. Invocation t of WORKGROUP loads unit t % UNITS of each step, for LOADS_A pixels (t + WORKGROUP j) /
// UNITS. Before it is included: the push constants p, the constants KERNEL_H, STRIDE, PADDING, WORKGROUP, UNITS,
// LOADS_A, TAP_COLUMNS (units across the kernel) and POINTWISE (kernel 1x1 without padding), the type UNIT.
// This file is compiled into spirv/, too.

// POINTWISE: the source pixel; else the image's first row and the window's top left corner.
int origin[LOADS_A], top[LOADS_A], left[LOADS_A];
// The unit of k that is loaded next.
int tap_y, tap_x, channel_unit;

// What the including shader knows: units of channels a source pixel has, and how to load one.
int source_units();
UNIT load_unit(int pixel, int unit);
// The unit of columns tap_x of the window's row of source pixels `row`, with its left edge at x.
UNIT load_taps(int row, int x);

void carry_tap() {
    while (channel_unit >= source_units()) {
        channel_unit -= source_units();
        if (++tap_x == TAP_COLUMNS) {
            tap_x = 0;
            tap_y++;
        }
    }
}

// m0: the tile's first pixel, of `pixels`. Pixels beyond the last are loaded as the last.
void start_window(int m0, int pixels) {
    const int t = int(gl_LocalInvocationID.x);
    [[unroll]] for (int j = 0; j < LOADS_A; j++) {
        const int m = min(m0 + (t + WORKGROUP * j) / UNITS, pixels - 1);
        const int area = p.dst_h * p.dst_w;
        const int y = m % area / p.dst_w * STRIDE, x = m % p.dst_w * STRIDE;
        if (POINTWISE) {
            origin[j] = (m / area * p.src_h + y) * p.src_w + x;
        } else {
            origin[j] = m / area * p.src_h;
            top[j] = y - PADDING;
            left[j] = x - PADDING;
        }
    }
    tap_y = tap_x = 0;
    channel_unit = t % UNITS;
    if (!POINTWISE)
        carry_tap();
}

// Zero beyond the picture and beyond the last unit of k.
UNIT load_window(int j) {
    if (POINTWISE)
        return channel_unit < source_units() ? load_unit(origin[j], channel_unit) : UNIT(0);
    const int y = top[j] + tap_y;
    return tap_y < KERNEL_H && y >= 0 && y < p.src_h ? load_taps((origin[j] + y) * p.src_w, left[j]) : UNIT(0);
}

// One tap a unit, the usual load_taps.
UNIT load_tap(int row, int x) {
    x += tap_x;
    return x >= 0 && x < p.src_w ? load_unit(row + x, channel_unit) : UNIT(0);
}

void advance_window() {
    channel_unit += UNITS;
    if (!POINTWISE)
        carry_tap();
}
