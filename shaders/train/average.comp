// average.comp - an exponential moving average of all parameters, running statistics among them.
//
//   average += share * (parameter - average);   share 1 begins it, 0 leaves it as it is
//
//   workgroups: count4 invocations
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"

layout(push_constant) uniform Params { train_average_params p; };

void main() {
    const int at = int(invocation_index());
    const float share = Floats(p.rates).v[1];
    if (at >= p.count4 || share == 0.0)
        return;
    const vec4 w = load_floats4(p.parameters, at);
    vec4 average = w;
    if (share != 1.0) {
        average = load_floats4(p.averages, at);
        average += share * (w - average);
    }
    store_floats4(p.averages, at, average);
}
