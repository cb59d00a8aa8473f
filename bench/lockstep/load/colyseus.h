/* Colyseus's own framing, as @colyseus/core 0.18 has it (Protocol.ts, Room.ts): a byte that says what the message is, and
 * for ROOM_DATA_BYTES a type of ours, which is a small number and so one byte, and then the payload. */
#ifndef COLYSEUS_H
#define COLYSEUS_H

enum { COLYSEUS_JOIN_ROOM = 10, COLYSEUS_ROOM_DATA_BYTES = 17, COLYSEUS_PLAY = 1, COLYSEUS_BEGIN = 2, COLYSEUS_HEAD = 2 };

/* The client's answer to JOIN_ROOM, after which it gets what is sent to the room. */
static const unsigned char colyseus_joined[] = {COLYSEUS_JOIN_ROOM};
static const unsigned char colyseus_ready[] = {COLYSEUS_ROOM_DATA_BYTES, COLYSEUS_BEGIN};

#endif
