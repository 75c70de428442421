// ui.frag - see ui.vert.
#version 460
layout(set = 0, binding = 3) uniform sampler2D colours;
layout(set = 0, binding = 4) uniform sampler2D atlas;

layout(location = 0) in vec2 inside;
layout(location = 1) flat in vec4 look;
layout(location = 2) flat in vec4 colour;
layout(location = 3) flat in vec2 size;

layout(location = 0) out vec4 result;

void main() {
    float coverage = 1;
    result = colour;
    if (look.z == 1) {
        coverage = texelFetch(atlas, ivec2(look.xy + inside), 0).r;
    } else {
        const vec2 from_edge = abs(inside - 0.5 * size) - (0.5 * size - look.w);
        if (look.w > 0)
            coverage = clamp(0.5 - (length(max(from_edge, 0)) - look.w), 0, 1);
        if (look.z == 2)
            result.rgb = texelFetch(colours, ivec2(int(inside.x / size.x * 255.99), 0), 0).rgb;
    }
    result.a *= coverage;
}
