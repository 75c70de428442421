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
    const vec4 w = load_floats4(p.parameters, at);
    const vec4 m = p.keep * load_floats4(p.momentum, at) + (factor * load_floats4(p.gradients, at) + p.decay * w);
    store_floats4(p.momentum, at, m);
    store_floats4(p.parameters, at, w - rate * m);
}
