/* As much of game.proto, and of the frames that it travels in, as a counting game needs. */
#ifndef FRAMES_H
#define FRAMES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_HEAD = 4, FRAME_MOST = 1 << 20 };

struct bytes {
    const uint8_t *at;
    size_t size;
};

/* What is looked at of a GameUpdate or a GameState. */
struct message {
    uint64_t request, sequence;
    struct bytes state, said; /* `said`: the data of the first broadcast */
    int started, spoken, rejected;
};

static inline const uint8_t *varint(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; at < end && shift < 64; shift += 7) {
        *value |= (uint64_t)(*at & 0x7f) << shift;
        if (!(*at++ & 0x80))
            return at;
    }
    return NULL;
}

/* The next field: number, and value or bytes. NULL where it is none that game.proto has. */
static inline const uint8_t *field(const uint8_t *at, const uint8_t *end, unsigned *number, uint64_t *value, struct bytes *bytes)
{
    uint64_t key;
    at = varint(at, end, &key);
    if (!at || !(at = varint(at, end, value)))
        return NULL;
    *number = (unsigned)(key >> 3);
    if ((key & 7) == 0)
        return at;
    if ((key & 7) != 2 || *value > (uint64_t)(end - at))
        return NULL;
    *bytes = (struct bytes){at, (size_t)*value};
    return at + *value;
}

/* Both messages have request, sequence and state as 1, 3|2 and 4|3; `answer` says which one it is. False where it cannot be read. */
static inline int parse(struct bytes data, int answer, struct message *m)
{
    const uint8_t *at = data.at, *end = at + data.size;
    unsigned number;
    uint64_t value;
    struct bytes bytes = {NULL, 0};
    memset(m, 0, sizeof *m);
    while (at < end) {
        at = field(at, end, &number, &value, &bytes);
        if (!at)
            return 0;
        if (number == 1)
            m->request = value;
        else if (number == (answer ? 2u : 3u))
            m->sequence = value;
        else if (number == (answer ? 3u : 4u))
            m->state = bytes;
        else if (!answer)
            m->started |= number == 6, m->spoken |= number == 7;
        else if (number == 4 && !m->said.at) {
            const uint8_t *inner = bytes.at, *last = inner + bytes.size;
            while (inner && inner < last) {
                inner = field(inner, last, &number, &value, &bytes);
                if (inner && number == 1)
                    m->said = bytes;
            }
        } else
            m->rejected |= number == 8;
    }
    return 1;
}

/* What is written: a buffer that its owner has made big enough. */
static inline uint8_t *put_varint(uint8_t *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *out++ = (uint8_t)(value | 0x80);
    *out++ = (uint8_t)value;
    return out;
}

static inline uint8_t *put_number(uint8_t *out, unsigned number, uint64_t value)
{
    return put_varint(put_varint(out, number << 3), value);
}

static inline uint8_t *put_bytes(uint8_t *out, unsigned number, const void *data, size_t size)
{
    out = put_varint(put_varint(out, number << 3 | 2), size);
    memcpy(out, data, size);
    return out + size;
}

static inline void put_head(uint8_t *frame, const uint8_t *end)
{
    size_t size = (size_t)(end - frame) - FRAME_HEAD;
    for (int i = 0; i < FRAME_HEAD; i++)
        frame[i] = (uint8_t)(size >> (24 - 8 * i));
}

/* A buffer that grows: what has come and is not taken yet, or waits to go out. */
struct buffer {
    uint8_t *data;
    size_t size, room;
};

static inline void make_room(struct buffer *b, size_t more)
{
    while (b->room - b->size < more)
        if (!(b->data = realloc(b->data, b->room = b->room ? b->room * 2 : 4096))) {
            fputs("no memory left\n", stderr);
            exit(1);
        }
}

static inline void drop(struct buffer *b, size_t size)
{
    memmove(b->data, b->data + size, b->size -= size);
}

/* The frame at `from`, which is taken: 1, or 0 where some of it is still to come, or -1 where it is none. */
static inline int next_frame(const struct buffer *b, size_t *from, struct bytes *frame)
{
    if (b->size - *from < FRAME_HEAD)
        return 0;
    const uint8_t *at = b->data + *from;
    size_t size = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
    if (size == 0 || size > FRAME_MOST)
        return -1;
    if (b->size - *from < FRAME_HEAD + size)
        return 0;
    *frame = (struct bytes){at + FRAME_HEAD, size};
    *from += FRAME_HEAD + size;
    return 1;
}

#endif
