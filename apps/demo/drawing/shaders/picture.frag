// picture.frag - a picture or a frame of video, upright, under the class activation map. As apps/cardinal/overlay.c
// paints.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "picture.glsl"

layout(set = 0, binding = 0) uniform sampler2D luma; // or RGBA
layout(set = 0, binding = 1) uniform sampler2D chroma;
layout(set = 0, binding = 2) uniform sampler2D map; // refined
layout(set = 0, binding = 3) uniform sampler2D colours;

layout(location = 0) in vec2 place;
layout(location = 0) out vec4 colour;

// From the upright picture to the stored one.
vec2 stored(vec2 at) {
    vec2 s = orientation >= 5 ? at.yx : at;
    if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8)
        s.x = 1 - s.x;
    if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7)
        s.y = 1 - s.y;
    return s;
}

// BT.709, limited range
vec3 rgb_of(float y, vec2 c) {
    y = (y * 255 - 16) / 219;
    c = (c * 255 - 128) / 224;
    return vec3(y + 1.5748 * c.y, y - 0.1873 * c.x - 0.4681 * c.y, y + 1.8556 * c.x);
}

void main() {
    const vec2 at = stored(place);
    vec3 rgb = textureLod(luma, at, 0).rgb;
    if (nv12 != 0)
        rgb = rgb_of(rgb.r, textureLod(chroma, at, 0).rg);
    rgb = clamp(rgb, 0, 1);
    const vec2 network = (place - seen.xy) / seen.zw;
    if (strength > 0 && all(greaterThanEqual(network, vec2(0))) && all(lessThanEqual(network, vec2(1)))) {
        const float t = textureLod(map, network, 0).r;
        const vec3 heat = texelFetch(colours, ivec2(int(t * 255 + 0.5), 0), 0).rgb;
        rgb = mix(rgb, heat, strength * 0.62 * smoothstep(0.1, 0.9, t));
    }
    colour = vec4(rgb, 1);
}
