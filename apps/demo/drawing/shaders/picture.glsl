// picture.glsl - what both stages of the picture's pipeline are pushed; struct picture_push of renderer.c.
layout(push_constant) uniform Push {
    vec4 rect;      // on the target, pixels
    vec4 seen;      // what the network saw: x, y, width, height in the upright picture, 0 ... 1
    vec2 viewport;  // the target, pixels
    float strength; // of the overlay; 0: none
    int orientation; // EXIF
    int nv12;
};
