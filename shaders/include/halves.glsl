// halves.glsl - half precision in 32-bit words, which needs no 16-bit storage feature. Compiled into spirv/, too.
uvec2 pack_halves(vec4 x) {
    // Values beyond half precision's range become its largest finite number, not infinity.
    x = clamp(x, -65504.0, 65504.0);
    return uvec2(packHalf2x16(x.xy), packHalf2x16(x.zw));
}
