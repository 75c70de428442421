// sgd.comp - stochastic gradient descent with momentum and weight decay, as torch.optim.SGD without dampening.
//
//   g = factor * gradient + decay * parameter;   momentum = keep * momentum + g;   parameter -= rate * momentum
//
// The momentum begins as zeros, so that the first step's is its gradient. The factor is gradient_norm.comp's; 0: a
// gradient is no finite number, and all stays as it is.
//   workgroups: count4 invocations
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"

layout(push_constant) uniform Params { train_sgd_params p; };

void main() {
    const int at = int(invocation_index());
    const float factor = Scaling(p.scaling).factor;
    if (at >= p.count4 || factor == 0.0)
        return;
    const float rate = Floats(p.rates).v[0];
    const vec4 w = Floats4(p.parameters).v[at];
    const vec4 m = p.keep * Floats4(p.momentum).v[at] + (factor * Floats4(p.gradients).v[at] + p.decay * w);
    Floats4(p.momentum).v[at] = m;
    Floats4(p.parameters).v[at] = w - rate * m;
}
