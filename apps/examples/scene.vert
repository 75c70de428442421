// A cube, seen in perspective, that turns about an upright axis; every face shows the whole picture.
#version 460

layout(push_constant) uniform Turn { float angle, aspect; };
layout(location = 0) out vec2 uv;
layout(location = 1) out float light;

void main() {
    // Six vertices a face: two triangles, counter-clockwise from outside.
    const vec2 corners[6] = vec2[](vec2(-1, -1), vec2(1, -1), vec2(1, 1), vec2(-1, -1), vec2(1, 1), vec2(-1, 1));
    const vec2 corner = corners[gl_VertexIndex % 6];
    const int face = gl_VertexIndex / 6;
    const float turn = angle + (face < 4 ? face * 1.57079633 : 0.0);
    vec3 p = vec3(corner, 1), normal = vec3(0, 0, 1);
    if (face == 4) {
        p = vec3(corner.x, 1, -corner.y);
        normal = vec3(0, 1, 0);
    } else if (face == 5) {
        p = vec3(corner.x, -1, corner.y);
        normal = vec3(0, -1, 0);
    }
    p.xz = mat2(cos(turn), -sin(turn), sin(turn), cos(turn)) * p.xz;
    normal.xz = mat2(cos(turn), -sin(turn), sin(turn), cos(turn)) * normal.xz;
    const float tilt = 0.12;
    p.yz = mat2(cos(tilt), sin(tilt), -sin(tilt), cos(tilt)) * p.yz;
    normal.yz = mat2(cos(tilt), sin(tilt), -sin(tilt), cos(tilt)) * normal.yz;
    uv = vec2(corner.x, -corner.y) * 0.5 + 0.5;
    light = 0.35 + 0.65 * max(normal.z, 0.0);
    const float depth = 3.6 - p.z;
    gl_Position = vec4(p.x * 1.9 / aspect, -p.y * 1.9, 0.5 * depth, depth);
}
