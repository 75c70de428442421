// gradient_norm.comp - what the update makes of the gradients: their norm, from the sums of gradient_sums.comp; the
// factor that they are clipped by (torch.nn.utils.clip_grad_norm_); and the loss scale of the next step
// (torch.cuda.amp.GradScaler: Micikevicius et al. 2018, "Mixed precision training", section 3.2).
//
//   norm = sqrt(sum of squares) / scale;   factor = min(1, most / (norm + 1e-6)) / scale
//
// Where a gradient is no finite number, neither is the sum: the factor is 0, by which the update knows that it is not
// to be made.
//   workgroups: 1
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"

layout(push_constant) uniform Params { train_gradient_params p; };

const uint GROWTH_INTERVAL = 2000; // good steps until the scale is doubled: PyTorch's
const float MOST_SCALE = 1073741824.0, LEAST_SCALE = 1.0 / 1073741824.0;

shared float sums[64]; // the workgroup's size

void main() {
    const int t = int(gl_LocalInvocationID.x);
    float sum = 0;
    for (int i = t; i < p.chunks; i += 64)
        sum += Floats(p.partial).v[i];
    sums[t] = sum;
    for (int reach = 32; reach > 0; reach /= 2) {
        barrier();
        if (t < reach)
            sums[t] = sum += sums[t + reach];
    }
    if (t != 0)
        return;
    Scaling s = Scaling(p.scaling);
    const float scale = s.scale, norm = sqrt(sum) / scale;
    s.norm = norm;
    if ((floatBitsToUint(sum) & 0x7f800000u) == 0x7f800000u) { // not finite, whatever a compiler thinks of such numbers
        s.factor = 0;
        s.skipped += 1;
        s.good = 0;
        if (p.scales != 0)
            s.scale = max(scale / 2, LEAST_SCALE);
        return;
    }
    s.factor = (p.most > 0.0 ? min(1.0, p.most / (norm + 1e-6)) : 1.0) / scale;
    const uint good = s.good + 1;
    const bool grows = p.scales != 0 && good >= GROWTH_INTERVAL;
    s.good = grows ? 0 : good;
    if (grows)
        s.scale = min(scale * 2, MOST_SCALE);
}
