// picture.vert - the picture's rectangle, two triangles as a strip.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "picture.glsl"

layout(location = 0) out vec2 place; // in the upright picture, 0 ... 1

void main() {
    place = vec2(gl_VertexIndex & 1, gl_VertexIndex >> 1);
    gl_Position = vec4((rect.xy + rect.zw * place) / viewport * 2 - 1, 0, 1);
}
