// cross_entropy.comp - softmax cross-entropy with label smoothing of one image, and the gradient of its logits.
//
//   loss = -sum over k of t_k log p_k,  gradient = scale (p - t) / images,  p = softmax(logits),
//   t_k = smoothing / classes + (1 - smoothing) (share [k is the label] + (1 - share) [k is the other])
//                                                                           (Szegedy et al. 2016, section 7)
//
//   workgroups: images
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"

layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Targets { train_target v[]; };

layout(push_constant) uniform Params { train_loss_params p; };

shared float parts[64]; // the workgroup's size

// Of all invocations' values, in a fixed order.
float reduce(float value, bool largest) {
    const uint t = gl_LocalInvocationID.x;
    parts[t] = value;
    for (uint reach = 32; reach > 0; reach /= 2) {
        barrier();
        if (t < reach)
            parts[t] = largest ? max(parts[t], parts[t + reach]) : parts[t] + parts[t + reach];
    }
    barrier();
    const float all = parts[0];
    barrier();
    return all;
}

void main() {
    const int image = int(workgroup_index()), t = int(gl_LocalInvocationID.x), first = image * p.stride;
    if (image >= p.images)
        return;
    Floats z = Floats(p.logits);
    const train_target y = Targets(p.targets).v[image];
    const int label = y.share >= 0.5 ? y.label : y.other; // that it is right with
    const float own = y.share * z.v[first + y.label] + (1.0 - y.share) * z.v[first + y.other];
    const float judged = z.v[first + label];
    float largest = -3.402823466e38;
    for (int k = t; k < p.classes; k += 64)
        largest = max(largest, z.v[first + k]);
    largest = reduce(largest, true);
    float sum = 0, all = 0, before = 0; // before: classes in front of the label that are as large
    for (int k = t; k < p.classes; k += 64) {
        sum += exp(z.v[first + k] - largest);
        all += z.v[first + k] - largest;
        before += k < label && z.v[first + k] >= judged ? 1.0 : 0.0;
    }
    sum = reduce(sum, false);
    all = reduce(all, false);
    before = reduce(before, false);
    const float scale = Scaling(p.scaling).scale / float(p.images);
    for (int k = t; k < p.stride; k += 64) {
        float g = 0;
        if (k < p.classes)
            g = exp(z.v[first + k] - largest) / sum - p.smoothing / float(p.classes) -
                (1.0 - p.smoothing) * (k == y.label ? y.share : 0.0) -
                (1.0 - p.smoothing) * (k == y.other ? 1.0 - y.share : 0.0);
        Floats(p.gradient).v[first + k] = scale * g;
    }
    if (t == 0) {
        const float smooth_part = p.smoothing * (all / float(p.classes)); // with z counted from the largest
        Floats(p.each).v[2 * image] = log(sum) - (1.0 - p.smoothing) * (own - largest) - smooth_part;
        Floats(p.each).v[2 * image + 1] = judged == largest && before == 0.0 ? 1.0 : 0.0;
    }
}
