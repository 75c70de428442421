// top_k.comp - all classes of an image in order: logit descending, then class number.
//
// Batcher's bitonic sort of class numbers in storage: log2(sort_size)^2 / 2 passes, so any k of any
// number of classes costs the same. Numbers from `classes` on stand for "no class" and sort last.
//   workgroups: one of SIZE invocations per image
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 0) const int SIZE = 128;

layout(push_constant) uniform Params { classify_params p; };

int logits_at;

bool before(uint a, uint b) { // does class a rank before class b?
    if (a >= p.classes || b >= p.classes)
        return a < b;
    const float x = Floats(p.src).v[logits_at + a], y = Floats(p.src).v[logits_at + b];
    return x > y || (x == y && a < b);
}

void main() {
    const int t = int(gl_LocalInvocationID.x);
    const int n = int(workgroup_index());
    if (n >= p.images)
        return;
    logits_at = n * p.src_stride;
    Uints order = Uints(p.order);
    const int to = n * p.sort_size;

    for (int i = t; i < p.sort_size; i += SIZE)
        order.v[to + i] = uint(i);
    for (int run = 2; run <= p.sort_size; run *= 2)
    for (int distance = run / 2; distance > 0; distance /= 2) {
        memoryBarrierBuffer();
        barrier();
        for (int i = t; i < p.sort_size / 2; i += SIZE) {
            const int low = i / distance * distance * 2 + i % distance, high = low + distance;
            const uint a = order.v[to + low], b = order.v[to + high];
            const bool ascending = (low & run) == 0;
            if (before(b, a) == ascending) {
                order.v[to + low] = b;
                order.v[to + high] = a;
            }
        }
    }
}
