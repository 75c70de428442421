// classify.comp - of each picture's logits x: a copy, softmax, and all classes in order.
//
//   probs[i] = exp(x[i] - max x) / sum exp(x - max x); order: logit descending, then class number
//
// Batcher's bitonic sort, log2(sort_size)^2 / 2 passes, so any k of any number of classes costs the same. It is done in
// shared memory, or, for more than SHARED_CLASSES, in place. Numbers from `classes` on stand for "no class" and sort
// last.
//   workgroups: one of SIZE invocations for each picture
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 0) const int SIZE = 128;
const int SHARED_CLASSES = 1024; // 8 KiB; ImageNet's 1000 fit

layout(push_constant) uniform Params { classify_params p; };

shared float scratch[SIZE];
shared uint keys[SHARED_CLASSES], numbers[SHARED_CLASSES];

// Smaller for larger numbers: a float's bits, made to order like an unsigned integer's and turned over.
uint key_of(float x) {
    const uint bits = floatBitsToUint(x == 0.0 ? 0.0 : x);
    return ~(bits ^ ((bits & 0x80000000u) != 0u ? 0xffffffffu : 0x80000000u));
}

uint key_at(int at, uint number) {
    return number < uint(p.classes) ? key_of(Floats(p.src).v[at + int(number)]) : 0xffffffffu;
}

void softmax(int t, int from, int to) {
    Floats src = Floats(p.src);
    float best = -3.402823466e38;
    for (int i = t; i < p.classes; i += SIZE)
        best = max(best, src.v[from + i]);
    scratch[t] = best;
    for (int half_size = SIZE / 2; half_size > 0; half_size /= 2) {
        barrier();
        if (t < half_size)
            scratch[t] = max(scratch[t], scratch[t + half_size]);
    }
    barrier();
    best = scratch[0];
    barrier();

    float sum = 0.0;
    for (int i = t; i < p.classes; i += SIZE)
        sum += exp(src.v[from + i] - best);
    scratch[t] = sum;
    for (int half_size = SIZE / 2; half_size > 0; half_size /= 2) {
        barrier();
        if (t < half_size)
            scratch[t] += scratch[t + half_size];
    }
    barrier();
    sum = scratch[0];

    for (int i = t; i < p.classes; i += SIZE) {
        const float x = src.v[from + i];
        Floats(p.logits).v[to + i] = x;
        Floats(p.probs).v[to + i] = exp(x - best) / sum;
    }
}

void sort_in_shared_memory(int t, int from, int to) {
    for (int i = t; i < p.sort_size; i += SIZE) {
        numbers[i] = uint(i);
        keys[i] = key_at(from, uint(i));
    }
    for (int run = 2; run <= p.sort_size; run *= 2)
        for (int distance = run / 2; distance > 0; distance /= 2) {
            barrier();
            for (int i = t; i < p.sort_size / 2; i += SIZE) {
                const int low = i / distance * distance * 2 + i % distance, high = low + distance;
                const uint a = keys[low], b = keys[high], m = numbers[low], n = numbers[high];
                const bool ascending = (low & run) == 0, before = b < a || (b == a && n < m); // high before low?
                if (before == ascending) {
                    keys[low] = b;
                    keys[high] = a;
                    numbers[low] = n;
                    numbers[high] = m;
                }
            }
        }
    barrier();
    for (int i = t; i < p.sort_size; i += SIZE)
        Uints(p.order).v[to + i] = numbers[i];
}

void sort_in_place(int t, int from, int to) {
    Uints order = Uints(p.order);
    for (int i = t; i < p.sort_size; i += SIZE)
        order.v[to + i] = uint(i);
    for (int run = 2; run <= p.sort_size; run *= 2)
        for (int distance = run / 2; distance > 0; distance /= 2) {
            memoryBarrierBuffer();
            barrier();
            for (int i = t; i < p.sort_size / 2; i += SIZE) {
                const int low = i / distance * distance * 2 + i % distance, high = low + distance;
                const uint m = order.v[to + low], n = order.v[to + high];
                const uint a = key_at(from, m), b = key_at(from, n);
                const bool ascending = (low & run) == 0, before = b < a || (b == a && n < m);
                if (before == ascending) {
                    order.v[to + low] = n;
                    order.v[to + high] = m;
                }
            }
        }
}

void main() {
    const int t = int(gl_LocalInvocationID.x);
    const int n = int(workgroup_index());
    if (n >= p.images)
        return;
    softmax(t, n * p.src_stride, n * p.classes);
    if (p.sort_size <= SHARED_CLASSES)
        sort_in_shared_memory(t, n * p.src_stride, n * p.sort_size);
    else
        sort_in_place(t, n * p.src_stride, n * p.sort_size);
}
