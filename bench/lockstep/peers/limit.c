/* The limit: what epoll and C can do with the same work on one core, and nothing besides.
 *
 *   limit PORT [eager]
 *
 * A WebSocket is at /<room>/<seat>/<players>/<input delay>, with the subprotocol gameroom.v1 in its binary form.
 * A room gathers one command packet of each player and sends one master made of them to all.
 * All that one round of epoll brings is read before anything is sent, so each connection has one send a round at most,
 * and masters of two turns travel together where they can; `eager` sends each as soon as it is made.
 * No hashes, no pace, no recording, no clock; and a client is trusted, down to the nonce, which is always that of load/websocket.h.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../load/packets.h"
#include "../load/websocket.h"

enum { MOST_PLAYERS = 1024, MOST_DELAY = 32, READ_SIZE = 256 * 1024, STRIDE = 4 + COMMAND_MAX, EVENTS = 512, BACKLOG = 4096 };

struct room {
    int players, delay, present, ready;
    uint32_t next;
    struct connection **members;
    struct gathered {
        int count;
        uint8_t *entries; /* for each seat STRIDE bytes: u16 seat, u16 length, commands, as a master has them; length 0xffff while it is missing */
    } window[MOST_DELAY]; /* by generation modulo the delay */
};

struct connection {
    int fd, number, upgraded, dirty, waiting;
    struct room *room;
    uint8_t *rest, *out; /* a frame of which some is still to come; what was not sent yet */
    size_t rest_size, out_size, out_room;
};

static struct room **rooms;
static struct connection **dirty;
static int room_space, dirty_count, dirty_space, poller, eager;

static void *allocated(void *memory)
{
    if (!memory) {
        fputs("limit: no memory left\n", stderr);
        exit(1);
    }
    return memory;
}

/* ---- sending ---- */

static void queue(struct connection *to, const void *data, size_t size)
{
    if (to->out_size + size > to->out_room) {
        to->out_room = (to->out_size + size) * 2;
        to->out = allocated(realloc(to->out, to->out_room));
    }
    memcpy(to->out + to->out_size, data, size);
    to->out_size += size;
    if (to->dirty)
        return;
    if (dirty_count == dirty_space)
        dirty = allocated(realloc(dirty, (size_t)(dirty_space = dirty_space * 2 + 64) * sizeof *dirty));
    dirty[dirty_count++] = to;
    to->dirty = 1;
}

/* The head of a frame that is not masked; gives its size. */
static size_t frame_head(uint8_t *out, int opcode, size_t size)
{
    out[0] = (uint8_t)(0x80 | opcode);
    if (size < 126) {
        out[1] = (uint8_t)size;
        return 2;
    }
    out[1] = size < 65536 ? 126 : 127;
    return (size_t)(put(out + 2, size, size < 65536 ? 2 : 8) - out);
}

static void queue_message(struct connection *to, int opcode, const void *data, size_t size)
{
    uint8_t head[WS_HEAD];
    queue(to, head, frame_head(head, opcode, size));
    queue(to, data, size);
}

static void send_queued(struct connection *to)
{
    ssize_t sent = send(to->fd, to->out, to->out_size, MSG_NOSIGNAL);
    if (sent > 0) {
        to->out_size -= (size_t)sent;
        memmove(to->out, to->out + sent, to->out_size);
    }
    int waiting = to->out_size > 0;
    if (waiting != to->waiting) {
        struct epoll_event event = {.events = EPOLLIN | (waiting ? EPOLLOUT : 0), .data.ptr = to};
        epoll_ctl(poller, EPOLL_CTL_MOD, to->fd, &event);
        to->waiting = waiting;
    }
}

static void send_all_queued(void)
{
    for (int i = 0; i < dirty_count; i++) {
        dirty[i]->dirty = 0;
        if (dirty[i]->fd >= 0 && dirty[i]->out_size > 0)
            send_queued(dirty[i]);
    }
    dirty_count = 0;
}

/* ---- the room ---- */

static void begin_anew(const struct room *room, struct gathered *turn)
{
    turn->count = 0;
    for (int seat = 0; seat < room->players; seat++)
        put(put(turn->entries + (size_t)seat * STRIDE, (uint64_t)seat, 2), 0xffff, 2);
}

static struct room *room_of(int number, int players, int delay)
{
    if (number < 0 || players < 1 || players > MOST_PLAYERS || delay < 1 || delay > MOST_DELAY)
        return NULL;
    if (number >= room_space) {
        rooms = allocated(realloc(rooms, (size_t)(number * 2 + 64) * sizeof *rooms));
        memset(rooms + room_space, 0, (size_t)(number * 2 + 64 - room_space) * sizeof *rooms);
        room_space = number * 2 + 64;
    }
    if (!rooms[number]) {
        struct room *room = rooms[number] = allocated(calloc(1, sizeof *room));
        room->players = players;
        room->delay = delay;
        room->members = allocated(calloc((size_t)players, sizeof *room->members));
        for (int i = 0; i < delay; i++) {
            room->window[i].entries = allocated(malloc((size_t)players * STRIDE));
            begin_anew(room, &room->window[i]);
        }
    }
    return rooms[number];
}

static void broadcast(const struct room *room, const uint8_t *data, size_t size)
{
    for (int i = 0; i < room->players; i++)
        if (room->members[i])
            queue(room->members[i], data, size);
}

static void send_master(struct room *room, struct gathered *turn)
{
    static uint8_t frame[WS_HEAD + PACKET_HEAD + MOST_PLAYERS * STRIDE];
    uint8_t *begin = frame + WS_HEAD, *p = begin, head[WS_HEAD];
    memset(p, 0, PACKET_HEAD);
    p[0] = 2;
    put(p + 2, room->next, 4);
    put(p + 6, 3, 2);
    put(p + 20, (uint64_t)room->players, 2);
    p += PACKET_HEAD;
    for (int seat = 0; seat < room->players; seat++) {
        const uint8_t *entry = turn->entries + (size_t)seat * STRIDE;
        size_t size = 4 + get(entry + 2, 2);
        memcpy(p, entry, size);
        p += size;
    }
    size_t head_size = frame_head(head, WS_BINARY, (size_t)(p - begin));
    memcpy(begin - head_size, head, head_size);
    broadcast(room, begin - head_size, (size_t)(p - begin) + head_size);
    if (eager)
        send_all_queued();
    begin_anew(room, turn);
    room->next++;
}

static void take_packet(struct connection *from, const struct frame *frame)
{
    struct room *room = from->room;
    if (frame->size < PACKET_HEAD || frame->size > PACKET_HEAD + COMMAND_MAX || frame->data[0] != 1)
        return;
    uint32_t generation = (uint32_t)get(frame->data + 2, 4);
    if (generation - room->next >= (uint32_t)room->delay)
        return;
    struct gathered *turn = &room->window[generation % (uint32_t)room->delay];
    uint8_t *entry = turn->entries + (size_t)from->number * STRIDE;
    if (get(entry + 2, 2) != 0xffff)
        return;
    put(entry + 2, frame->size - PACKET_HEAD, 2);
    memcpy(entry + 4, frame->data + PACKET_HEAD, frame->size - PACKET_HEAD);
    turn->count++;
    while ((turn = &room->window[room->next % (uint32_t)room->delay])->count == room->players)
        send_master(room, turn);
}

static void take_text(struct connection *from, const struct frame *frame)
{
    static const char welcome[] = "{\"type\":\"welcome\"}";
    struct room *room = from->room;
    struct text type = json_field((struct text){(const char *)frame->data, frame->size}, "type");
    if (json_is(type, "hello")) {
        queue_message(from, WS_TEXT, welcome, sizeof welcome - 1);
    } else if (json_is(type, "ready") && ++room->ready == room->players) {
        char start[64];
        int size = snprintf(start, sizeof start, "{\"type\":\"start\",\"input_delay\":%d}", room->delay);
        for (int i = 0; i < room->players; i++)
            queue_message(room->members[i], WS_TEXT, start, (size_t)size);
    }
}

/* ---- what comes ---- */

static void let_go(struct connection *gone)
{
    if (gone->room)
        gone->room->members[gone->number] = NULL;
    close(gone->fd);
    gone->fd = -1; /* it may still be among the dirty: its few bytes stay */
}

/* The answer to a whole request at `data`; gives the request's size, 0 where some is still to come, -1 where it is refused. */
static long upgrade(struct connection *from, const uint8_t *data, size_t size)
{
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: " WS_ACCEPT "\r\nSec-WebSocket-Protocol: gameroom.v1\r\n\r\n";
    const uint8_t *end = memmem(data, size, "\r\n\r\n", 4);
    int number, players, delay;
    if (!end)
        return 0;
    if (!memmem(data, size, WS_KEY, sizeof WS_KEY - 1) || sscanf((const char *)data, "GET /%d/%d/%d/%d ", &number, &from->number, &players, &delay) != 4)
        return -1;
    struct room *room = room_of(number, players, delay);
    if (!room || from->number < 0 || from->number >= room->players || room->members[from->number])
        return -1;
    from->room = room;
    room->members[from->number] = from;
    from->upgraded = 1;
    queue(from, answer, sizeof answer - 1);
    return end + 4 - data;
}

/* Takes the mask off the frame at `data`, in place; gives its size, 0 where some is still to come, -1 where it is none. */
static long unmasked(uint8_t *data, size_t have, struct frame *frame)
{
    if (have < 2)
        return 0;
    if ((data[0] & 0xf0) != 0x80 || !(data[1] & 0x80) || (data[1] & 0x7f) == 127)
        return -1;
    size_t head = 6, size = data[1] & 0x7f;
    if (size == 126) {
        if (have < 4)
            return 0;
        size = (size_t)get(data + 2, 2);
        head = 8;
    }
    if (have < head + size)
        return 0;
    ws_mask(data + head, data + head, size, data + head - 4);
    *frame = (struct frame){data[0] & 0x0f, data + head, size};
    return (long)(head + size);
}

static int take_frame(struct connection *from, const struct frame *frame)
{
    if (frame->opcode == WS_BINARY)
        take_packet(from, frame);
    else if (frame->opcode == WS_TEXT)
        take_text(from, frame);
    else if (frame->opcode == WS_PING)
        queue_message(from, WS_PONG, frame->data, frame->size);
    return frame->opcode != WS_CLOSE;
}

/* What of `data` was used, or -1 where the connection is to be closed. */
static long take(struct connection *from, uint8_t *data, size_t size)
{
    struct frame frame;
    long used = 0, taken;
    if (!from->upgraded && (used = upgrade(from, data, size)) <= 0)
        return used;
    while ((taken = unmasked(data + used, size - (size_t)used, &frame)) > 0) {
        if (!take_frame(from, &frame))
            return -1;
        used += taken;
    }
    return taken < 0 ? -1 : used;
}

static void read_from(struct connection *from)
{
    static uint8_t data[READ_SIZE + 1];
    memcpy(data, from->rest, from->rest_size);
    ssize_t got = recv(from->fd, data + from->rest_size, READ_SIZE - from->rest_size, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    size_t size = from->rest_size + (size_t)(got > 0 ? got : 0);
    data[size] = 0;
    long used = got > 0 ? take(from, data, size) : -1;
    if (used < 0) {
        let_go(from);
        return;
    }
    if (from->rest_size || (size_t)used < size) {
        free(from->rest);
        from->rest_size = size - (size_t)used;
        from->rest = from->rest_size ? allocated(malloc(from->rest_size)) : NULL;
        memcpy(from->rest, data + used, from->rest_size);
    }
}

static void accept_all(int listening)
{
    int fd;
    while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        struct connection *come = allocated(calloc(1, sizeof *come));
        come->fd = fd;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = come};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

static int listen_at(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, BACKLOG) < 0) {
        perror("limit: listen");
        exit(1);
    }
    return fd;
}

int main(int count, char **given)
{
    static struct epoll_event events[EVENTS];
    int listening = listen_at(count > 1 ? atoi(given[1]) : 0);
    eager = count > 2 && strcmp(given[2], "eager") == 0;
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poller, EPOLL_CTL_ADD, listening, &event);
    for (;;) {
        int ready = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *of = events[i].data.ptr;
            if (!of) {
                accept_all(listening);
                continue;
            }
            if (events[i].events & EPOLLOUT)
                send_queued(of);
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                read_from(of);
        }
        send_all_queued();
    }
}
