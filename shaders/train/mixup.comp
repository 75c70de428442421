// mixup.comp - each picture with the one before it in the batch, the first with the last (Zhang et al. 2018).
//
//   v[i] = share v[i] + (1 - share) v[i - 1]
//
//   workgroups: pixels invocations
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"

layout(push_constant) uniform Params { train_mixup_params p; };

void main() {
    const int pixel = int(invocation_index());
    if (pixel >= p.pixels)
        return;
    Storage4 pictures = Storage4(p.pictures);
    vec4 before = unpack4(pictures.v[(p.images - 1) * p.pixels + pixel]);
    for (int i = 0; i < p.images; i++) {
        const vec4 own = unpack4(pictures.v[i * p.pixels + pixel]);
        pictures.v[i * p.pixels + pixel] = pack4(p.share * own + (1.0 - p.share) * before);
        before = own;
    }
}
