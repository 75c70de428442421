// ui.vert - rectangles and glyphs of the user interface, one an instance; struct quad of canvas.h.
#version 460
layout(push_constant) uniform Push { vec2 viewport; };

layout(location = 0) in vec4 rect;
layout(location = 1) in vec4 look; // atlas x, y; kind; radius
layout(location = 2) in vec4 colour;

layout(location = 0) out vec2 inside; // pixels from the rectangle's corner
layout(location = 1) flat out vec4 look_out;
layout(location = 2) flat out vec4 colour_out;
layout(location = 3) flat out vec2 size;

void main() {
    inside = vec2(gl_VertexIndex & 1, gl_VertexIndex >> 1) * rect.zw;
    look_out = look;
    colour_out = colour;
    size = rect.zw;
    gl_Position = vec4((rect.xy + inside) / viewport * 2 - 1, 0, 1);
}
