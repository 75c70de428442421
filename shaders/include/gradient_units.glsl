// gradient_units.glsl - gradients in units of eight halves, for matrix units; train.glsl has the same of four floats.
// A gradient beyond half precision's range was stored as the largest finite number: as infinity it makes sums that
// gradient_norm.comp notices. Two halves a word: adding 0x0401 carries into the top bit from 0x7bff on.
uvec4 beyond_range(uvec4 g) {
    const uvec4 over = (((g & 0x7fff7fffu) + 0x04010401u) & 0x80008000u) >> 15;
    return (g & ~(over * 0x7fffu)) | over * 0x7c00u;
}
