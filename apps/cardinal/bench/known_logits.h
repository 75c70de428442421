// known_logits.h - what the seeded networks of the suites answer to the benchmark's pictures, computed in fp64 by
// another program: a driver that computes nonsense is told from one that is fast.
#ifndef CARDINAL_KNOWN_LOGITS_H_
#define CARDINAL_KNOWN_LOGITS_H_

enum { KNOWN_PICTURES = 4, KNOWN_LOGITS = 25, KNOWN_STEP = 40 };

// Of --seed 0 and pictures that fill 224x224; logits[p][i] is class i * KNOWN_STEP of picture p.
struct known_logits {
    const char *network;
    float largest; // of all logits of these pictures, by magnitude: what errors are measured against
    float logits[KNOWN_PICTURES][KNOWN_LOGITS];
};
extern const struct known_logits known_logits[]; // a NULL network ends them

#endif // CARDINAL_KNOWN_LOGITS_H_
