/* As much of the game port's envelopes as a member of a lock-step room needs (docs/protocol/game-port.md). */
#ifndef ENVELOPES_H
#define ENVELOPES_H

#include "websocket.h"

enum { ENVELOPE_HEAD = 4, ENVELOPE_AUTH = 3, ENVELOPE_CONNECTED = 5, ENVELOPE_ERROR = 9, ENVELOPE_ROOM = 15, ENVELOPE_RAW = 0, ENVELOPE_JSON = 1 };

/* Writes one envelope to `out`, which has room for ENVELOPE_HEAD + size; gives its size. */
static inline size_t envelope_build(uint8_t *out, int type, int en, const void *data, size_t size)
{
    out[0] = 1;
    out[1] = (uint8_t)(type << 2 | en);
    out[2] = (uint8_t)(size >> 8);
    out[3] = (uint8_t)size;
    memcpy(out + ENVELOPE_HEAD, data, size);
    return ENVELOPE_HEAD + size;
}

/* Reads the envelope at the beginning of `data` as the frame that a web socket would bring; CONNECTED comes as a frame that nobody needs (WS_PONG),
 * ERROR as WS_CLOSE. Gives its whole size, 0 where some of it is still to come, -1 where it is another one. */
static inline long envelope_parse(const uint8_t *data, size_t have, struct frame *frame)
{
    if (have < ENVELOPE_HEAD)
        return 0;
    size_t size = (size_t)data[2] << 8 | data[3];
    if (have < ENVELOPE_HEAD + size)
        return 0;
    int type = data[1] >> 2, en = data[1] & 3, opcode;
    if (type == ENVELOPE_ROOM)
        opcode = en == ENVELOPE_RAW ? WS_BINARY : WS_TEXT;
    else if (type == ENVELOPE_CONNECTED)
        opcode = WS_PONG;
    else if (type == ENVELOPE_ERROR)
        opcode = WS_CLOSE;
    else
        return -1;
    if (data[0] != 1)
        return -1;
    *frame = (struct frame){opcode, data + ENVELOPE_HEAD, size};
    return (long)(ENVELOPE_HEAD + size);
}

#endif
