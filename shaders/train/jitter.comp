// jitter.comp - brightness, contrast and saturation of each picture, as torchvision's ColorJitter changes tensors.
//
//   v = clamp(f v + (1 - f) other, 0, 1)   with other: brightness 0, contrast the picture's mean grey, saturation the
//   pixel's own grey; grey = 0.2989 r + 0.587 g + 0.114 b
//
// in the picture's own order. Contrast needs the mean of what those before it made. Between them the values are those
// of 0 ... 1, without the recipe's mean and deviation.
//   workgroups: images
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"

layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Jitters { train_jitter v[]; };

layout(push_constant) uniform Params { train_jitter_params p; };

shared float parts[128]; // the workgroup's size

float grey(vec3 v) { return dot(v, vec3(0.2989, 0.587, 0.114)); }

// The changes from one place of the order up to another.
vec3 change(vec3 v, train_jitter j, int from, int to, float mean) {
    for (int i = from; i < to; i++) {
        const int what = j.order >> 2 * i & 3;
        const float f = what == 0 ? j.brightness : what == 1 ? j.contrast : j.saturation;
        const float other = what == 0 ? 0.0 : what == 1 ? mean : grey(v);
        v = clamp(f * v + (1.0 - f) * other, 0.0, 1.0);
    }
    return v;
}

void main() {
    const int image = int(workgroup_index()), t = int(gl_LocalInvocationID.x);
    if (image >= p.images)
        return;
    const train_jitter j = Jitters(p.jitters).v[image];
    const vec3 mean = vec3(p.mean_r, p.mean_g, p.mean_b), std = vec3(p.std_r, p.std_g, p.std_b);
    const int first = image * p.pixels;
    const int contrast = (j.order & 3) == 1 ? 0 : (j.order >> 2 & 3) == 1 ? 1 : 2; // its place
    Storage4 pixels = Storage4(p.pictures);
    float sum = 0;
    for (int i = t; i < p.pixels; i += 128)
        sum += grey(change(unpack4(pixels.v[first + i]).rgb * std + mean, j, 0, contrast, 0.0));
    parts[t] = sum;
    for (int reach = 64; reach > 0; reach /= 2) { // in a fixed order
        barrier();
        if (t < reach)
            parts[t] += parts[t + reach];
    }
    barrier();
    const float middle = parts[0] / float(p.pixels);
    for (int i = t; i < p.pixels; i += 128) {
        const vec3 v = change(unpack4(pixels.v[first + i]).rgb * std + mean, j, 0, 3, middle);
        pixels.v[first + i] = pack4(vec4((v - mean) / std, 0));
    }
}
