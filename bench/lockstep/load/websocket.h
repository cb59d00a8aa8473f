/* As much of RFC 6455 as a client of gameroom needs, and the mask for peers/limit.c. */
#ifndef WEBSOCKET_H
#define WEBSOCKET_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10, WS_HEAD = 14 };

/* The nonce of the RFC's own example, so that its answer is known without a SHA-1. */
#define WS_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define WS_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

struct frame {
    int opcode;
    const uint8_t *data;
    size_t size;
};

/* Reads the frame at the beginning of `data`: its whole size, 0 where some of it is still to come, -1 where it
 * is none that a server may send us (masked, fragmented, reserved bits, huge). */
static inline long ws_parse(const uint8_t *data, size_t have, struct frame *frame)
{
    if (have < 2)
        return 0;
    if ((data[0] & 0xf0) != 0x80 || (data[1] & 0x80))
        return -1;
    size_t head = 2, size = data[1];
    if (size == 126) {
        if (have < 4)
            return 0;
        size = (size_t)data[2] << 8 | data[3];
        head = 4;
    } else if (size == 127) {
        if (have < 10)
            return 0;
        size = 0;
        for (int i = 2; i < 10; i++)
            size = size << 8 | data[i];
        if (size > (64u << 20))
            return -1;
        head = 10;
    }
    if (have < head + size)
        return 0;
    *frame = (struct frame){data[0] & 0x0f, data + head, size};
    return (long)(head + size);
}

/* Puts a mask on `size` bytes, or takes it off; eight bytes at a time, the rest one by one. `out` may be `in`. */
static inline void ws_mask(uint8_t *out, const uint8_t *in, size_t size, const uint8_t key[4])
{
    uint8_t twice[8];
    uint64_t wide, word;
    size_t i = 0;
    memcpy(twice, key, 4);
    memcpy(twice + 4, key, 4);
    memcpy(&wide, twice, 8);
    for (; i + 8 <= size; i += 8) {
        memcpy(&word, in + i, 8);
        word ^= wide;
        memcpy(out + i, &word, 8);
    }
    for (; i < size; i++)
        out[i] = in[i] ^ twice[i & 3];
}

/* Writes one masked frame to `out`, which has room for WS_HEAD + size; gives its size. */
static inline size_t ws_build(uint8_t *out, int opcode, const void *data, size_t size, uint32_t mask)
{
    size_t head = 2;
    out[0] = (uint8_t)(0x80 | opcode);
    if (size < 126) {
        out[1] = (uint8_t)(0x80 | size);
    } else if (size < 65536) {
        out[1] = 0x80 | 126;
        out[2] = (uint8_t)(size >> 8);
        out[3] = (uint8_t)size;
        head = 4;
    } else {
        out[1] = 0x80 | 127;
        for (int i = 0; i < 8; i++)
            out[2 + i] = (uint8_t)((uint64_t)size >> (56 - 8 * i));
        head = 10;
    }
    uint8_t key[4];
    memcpy(key, &mask, 4);
    memcpy(out + head, key, 4);
    head += 4;
    ws_mask(out + head, data, size, key);
    return head + size;
}

#endif
