// random.h - random numbers that are the same on every machine.
#ifndef CDL_RANDOM_H_
#define CDL_RANDOM_H_

#include <stdint.h>

// 64 random bits: output k, from 0, of Sebastiano Vigna's splitmix64 (https://prng.di.unimi.it/splitmix64.c) started
// at `seed`. Being a function of seed and k alone, it can be called in any order and from any thread.
static inline uint64_t cdl_random_bits(uint64_t seed, uint64_t k) {
    uint64_t z = seed + (k + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

#endif // CDL_RANDOM_H_
