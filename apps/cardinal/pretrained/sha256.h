// sha256.h - SHA-256 (FIPS 180-4), for checking downloaded files. No dependency is worth its weight here.
#ifndef CARDINAL_SHA256_H_
#define CARDINAL_SHA256_H_

#include <stddef.h>
#include <stdint.h>

enum { SHA256_HEX_SIZE = 65 }; // 64 lower-case digits and the NUL

struct sha256 {
    uint32_t state[8];
    uint64_t bytes;    // so far
    uint8_t block[64]; // block[0 ... bytes % 64) waits to be hashed
};

void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *data, size_t size);
void sha256_finish(struct sha256 *s, char hex[SHA256_HEX_SIZE]);

#endif // CARDINAL_SHA256_H_
