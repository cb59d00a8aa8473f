/* A counting game: a service that is as quick as one can be, and the two loads that are put on services.
 *
 *     counting serve PORT STATE                      the service: its states have STATE bytes; serves for ever
 *     counting ask PORT ROOMS WARMUP SECONDS         the bare frames: so many rooms, one update of each under way, on up to 8 connections
 *     counting play PORT ROOMS WARMUP SECONDS        members of rooms, one web socket each, one `game` of each under way
 *
 * `play` reads a line `<path> <seat token>` for each seat from stdin, and starts the rooms that do not play yet.
 * Both loads print "measuring", and at the end one line of JSON. Whatever comes is compared with what has to come: the next number, for every
 * update, so that nothing can be lost or doubled unseen; anything else ends them with a line on stderr and status 1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../lockstep/load/histogram.h"
#include "../../lockstep/load/json.h"
#include "../../lockstep/load/websocket.h"
#include "frames.h"

enum { EVENTS = 512, MOST_CONNECTIONS = 8, STALLED_AFTER = 10, TEXT = 64 };

static int poller;
static struct histogram latency;
static uint64_t done;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("counting: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double cpu_used(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* -- a connection: of the service's, of a load's, or a member's */

struct link {
    int fd, polled_out;
    struct buffer in, out;
    void *owner;
};

static void watch(struct link *link, int add)
{
    struct epoll_event event = {.events = EPOLLIN | (link->polled_out ? EPOLLOUT : 0), .data.ptr = link};
    if (epoll_ctl(poller, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, link->fd, &event) < 0)
        die("epoll: %s", strerror(errno));
}

static void adopt(struct link *link, int fd)
{
    link->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    watch(link, 1);
}

static int dial(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        die("connect: %s", strerror(errno));
    return fd;
}

/* False where the other end is gone. */
static int flush(struct link *link)
{
    if (link->out.size) {
        ssize_t sent = send(link->fd, link->out.data, link->out.size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return 0;
        if (sent > 0)
            drop(&link->out, (size_t)sent);
    }
    if (link->polled_out != (link->out.size > 0)) {
        link->polled_out = link->out.size > 0;
        watch(link, 0);
    }
    return 1;
}

static int fill(struct link *link)
{
    make_room(&link->in, 1 << 16);
    ssize_t got = recv(link->fd, link->in.data + link->in.size, link->in.room - link->in.size, 0);
    if (got > 0)
        link->in.size += (size_t)got;
    return got > 0 || (got < 0 && errno == EAGAIN);
}

/* -- the service */

static size_t state_bytes;

static void answer(struct link *link, struct bytes frame)
{
    struct message m;
    static char state[FRAME_MOST], said[TEXT];
    if (!parse(frame, 0, &m))
        die("no GameUpdate has come");
    long long number = m.started || m.state.size < TEXT ? -1 : atoll((const char *)m.state.at + strlen("{\"n\":"));
    number += m.started || m.spoken;
    int head = snprintf(state, sizeof state, "{\"n\":%lld,\"pad\":\"", number);
    memset(state + head, 'x', state_bytes - (size_t)head - 2);
    memcpy(state + state_bytes - 2, "\"}", 2);
    make_room(&link->out, state_bytes + 256);
    uint8_t *begin = link->out.data + link->out.size, *out = begin + FRAME_HEAD;
    out = put_number(put_number(out, 1, m.request), 2, m.sequence);
    out = put_bytes(out, 3, state, state_bytes);
    if (m.started || m.spoken) {
        uint8_t outgoing[TEXT + 16];
        size_t size = (size_t)snprintf(said, sizeof said, "{\"n\":%lld}", number);
        uint8_t *end = put_number(put_bytes(outgoing, 1, said, size), 2, 1);
        out = put_bytes(out, 4, outgoing, (size_t)(end - outgoing));
    }
    put_head(begin, out);
    link->out.size += (size_t)(out - begin);
}

static int serve_one(struct link *link)
{
    size_t from = 0;
    struct bytes frame;
    int more;
    if (!fill(link))
        return 0;
    while ((more = next_frame(&link->in, &from, &frame)) > 0)
        answer(link, frame);
    drop(&link->in, from);
    return more == 0 && flush(link);
}

static void serve(int port)
{
    struct sockaddr_in address = loopback(port);
    struct link listening = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    setsockopt(listening.fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listening.fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(listening.fd, 64) < 0)
        die("port %d: %s", port, strerror(errno));
    watch(&listening, 1);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct link *link = events[i].data.ptr;
            if (link == &listening) {
                int fd = accept(listening.fd, NULL, NULL);
                if (fd >= 0)
                    adopt(calloc(1, sizeof *link), fd);
            } else if ((events[i].events & EPOLLIN && !serve_one(link)) || !flush(link)) {
                close(link->fd);
                free(link->in.data);
                free(link->out.data);
                free(link);
            }
        }
    }
}

/* -- what both loads have */

struct room {
    struct link *link;
    uint64_t sent, sequence; /* when, and the number of the update or of the message */
    int64_t number;          /* what the game has come to; -1 before it is known */
    struct buffer state;     /* of `ask` */
    int waiting, acknowledged, shown; /* of `play` */
    char path[128], token[128];
};

static struct room *rooms;
static int room_count, measuring;

static void counted(struct room *room, uint64_t at)
{
    if (measuring) {
        histogram_add(&latency, at - room->sent);
        done++;
    }
}

static int64_t number_of(struct text body)
{
    return json_integer(json_field(body, "n"));
}

__attribute__((noreturn)) static void ended(const char *what)
{
    die("a connection was ended, seen while %s: %s", what, errno ? strerror(errno) : "closed by the other end without a word");
}

/* Runs `take` for each link that has something now, or within `wait` ms. */
static void look(void (*take)(struct link *), int wait)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(poller, events, EVENTS, wait);
    for (int i = 0; i < count; i++) {
        struct link *link = events[i].data.ptr;
        errno = 0;
        if (events[i].events & ~(uint32_t)EPOLLOUT) {
            if (!fill(link))
                ended("reading");
            take(link);
        }
        if (!flush(link))
            ended("writing");
    }
}

/* The same for so long. */
static void turn(void (*take)(struct link *), double seconds)
{
    uint64_t at = now(), until = at + (uint64_t)(seconds * 1e9);
    for (; at < until; at = now())
        look(take, (int)((until - at) / 1000000) + 1);
}

static void measure(void (*take)(struct link *), double warmup, double seconds)
{
    turn(take, warmup);
    measuring = 1;
    puts("measuring");
    fflush(stdout);
    uint64_t began = now();
    double cpu = cpu_used();
    turn(take, seconds);
    double took = (double)(now() - began) / 1e9;
    printf("{\"done\":%llu,\"seconds\":%.6f,\"cpu\":%.6f,\"p50\":%.9f,\"p99\":%.9f}\n", (unsigned long long)done, took, cpu_used() - cpu,
        (double)histogram_quantile(&latency, 0.5) / 1e9, (double)histogram_quantile(&latency, 0.99) / 1e9);
}

/* -- the bare frames */

static void send_update(struct room *room)
{
    static const uint8_t spoken[] = {18, 7, '{', '"', 'a', '"', ':', '1', '}', 24, 1}; /* data, text */
    struct link *link = room->link;
    uint8_t player[64], event[64], *end;
    size_t index = (size_t)(room - rooms);
    make_room(&link->out, room->state.size + 512);
    uint8_t *begin = link->out.data + link->out.size, *out = begin + FRAME_HEAD;
    char name[48];
    int size = snprintf(name, sizeof name, "00000000-0000-4000-8000-%012zu", index);
    out = put_number(out, 1, ++room->sequence << 20 | index);
    out = put_bytes(out, 2, name, (size_t)size);
    out = put_number(out, 3, room->sequence);
    out = put_bytes(out, 4, room->state.data, room->state.size);
    end = put_number(put_bytes(put_bytes(player, 2, name, (size_t)size), 3, "Player", 6), 4, 1);
    out = put_bytes(out, 5, player, (size_t)(end - player));
    if (room->sequence == 1) {
        end = put_number(put_bytes(event, 1, "{}", 2), 2, 1ull << 52);
        out = put_bytes(out, 6, event, (size_t)(end - event));
    } else
        out = put_bytes(out, 7, spoken, sizeof spoken);
    out = put_bytes(put_bytes(put_number(out, 11, 1700000000000ull), 12, name, (size_t)size), 13, "1.0.0", 5);
    put_head(begin, out);
    link->out.size += (size_t)(out - begin);
    room->sent = now();
}

static void take_answers(struct link *link)
{
    size_t from = 0;
    struct bytes frame;
    struct message m;
    int more;
    while ((more = next_frame(&link->in, &from, &frame)) > 0) {
        if (!parse(frame, 1, &m) || (m.request & 0xfffff) >= (uint64_t)room_count)
            die("no GameState, or one of another request");
        struct room *room = &rooms[m.request & 0xfffff];
        struct text said = {(const char *)m.said.at, m.said.size};
        if (m.sequence != room->sequence || m.request >> 20 != room->sequence || m.rejected || number_of(said) != ++room->number)
            die("the wrong answer for update %llu: %.*s", (unsigned long long)room->sequence, (int)said.size, said.at);
        counted(room, now());
        room->state.size = 0;
        make_room(&room->state, m.state.size);
        memcpy(room->state.data, m.state.at, room->state.size = m.state.size);
        send_update(room);
    }
    if (more < 0)
        die("a frame of no or too much length");
    drop(&link->in, from);
}

static void ask(int port, double warmup, double seconds)
{
    static struct link links[MOST_CONNECTIONS];
    int connections = room_count < MOST_CONNECTIONS ? room_count : MOST_CONNECTIONS;
    for (int i = 0; i < connections; i++)
        adopt(&links[i], dial(port));
    for (int i = 0; i < room_count; i++) {
        rooms[i].link = &links[i % connections];
        rooms[i].number = -1;
        send_update(&rooms[i]);
    }
    for (int i = 0; i < connections; i++)
        flush(&links[i]);
    measure(take_answers, warmup, seconds);
}

/* -- members of rooms */

static uint32_t next_mask(void)
{
    static uint32_t x = 0x9e3779b9;
    x ^= x << 13;
    x ^= x >> 17;
    return x ^= x << 5;
}

static void send_frame(struct link *link, int opcode, const void *data, size_t size)
{
    make_room(&link->out, size + WS_HEAD);
    link->out.size += ws_build(link->out.data + link->out.size, opcode, data, size, next_mask());
}

static void say(struct room *room, const char *text, int size)
{
    send_frame(room->link, WS_TEXT, text, (size_t)size);
}

static int count_up(void)
{
    int known = 0;
    for (int i = 0; i < room_count; i++)
        known += rooms[i].number >= 0;
    return known;
}

/* The next message goes out as soon as the last one was both acknowledged and shown. */
static void play_on(struct room *room)
{
    char text[TEXT * 2];
    if (room->number < 0 || (room->waiting && !(room->acknowledged && room->shown)))
        return;
    room->waiting = 1;
    room->acknowledged = room->shown = 0;
    room->sent = now();
    say(room, text, snprintf(text, sizeof text, "{\"type\":\"game\",\"id\":%llu,\"body\":{\"add\":1}}", (unsigned long long)++room->sequence));
}

static int begins(struct text value, const char *word)
{
    return value.at && value.size > strlen(word) && memcmp(value.at + 1, word, strlen(word)) == 0;
}

static void take_message(struct room *room, struct text message)
{
    struct text type = json_field(message, "type");
    if (json_is(type, "game")) {
        int64_t number = number_of(json_field(message, "body"));
        if (number < 0 || (room->waiting && number != room->number + 1))
            die("%.*s after number %lld", (int)message.size, message.at, (long long)room->number);
        room->number = number;
        room->shown = 1;
    } else if (json_is(type, "ack")) {
        if (json_integer(json_field(message, "reply_to")) != (int64_t)room->sequence)
            die("%.*s for message %llu", (int)message.size, message.at, (unsigned long long)room->sequence);
        room->acknowledged = 1;
    } else if (json_is(type, "welcome")) {
        room->sequence = (uint64_t)json_integer(json_field(message, "last_id"));
        struct text state = json_field(json_field(message, "room"), "state");
        if (!begins(state, "running"))
            say(room, "{\"type\":\"start\"}", 16);
    } else if (!json_is(type, "players") && !json_is(type, "state") && !json_is(type, "setup") && !json_is(type, "start"))
        die("unexpected: %.*s", (int)message.size, message.at);
    if (room->waiting && room->acknowledged && room->shown) {
        counted(room, now());
        play_on(room);
    }
}

static void take_messages(struct link *link)
{
    size_t used = 0;
    struct frame frame;
    long size;
    while ((size = ws_parse(link->in.data + used, link->in.size - used, &frame)) > 0) {
        struct room *room = link->owner;
        if (frame.opcode == WS_TEXT)
            take_message(room, (struct text){(const char *)frame.data, frame.size});
        else if (frame.opcode == WS_PING)
            send_frame(link, WS_PONG, frame.data, frame.size);
        else if (frame.opcode == WS_CLOSE)
            die("closed with %d", frame.size >= 2 ? frame.data[0] << 8 | frame.data[1] : 1005);
        used += (size_t)size;
    }
    if (size < 0)
        die("not a frame that a server may send");
    drop(&link->in, used);
}

static void enter(struct room *room, int port)
{
    char text[512], *end = NULL;
    struct link *link = room->link = calloc(1, sizeof *link);
    int fd = dial(port), size = snprintf(text, sizeof text,
        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " WS_KEY
        "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: gameroom.v1\r\n\r\n", room->path, port);
    if (send(fd, text, (size_t)size, MSG_NOSIGNAL) != size)
        die("the handshake cannot be sent");
    link->fd = fd;
    link->owner = room;
    while (!end) {
        if (!fill(link))
            die("no answer to the handshake");
        make_room(&link->in, 1);
        link->in.data[link->in.size] = 0;
        end = strstr((char *)link->in.data, "\r\n\r\n");
    }
    if (!strstr((char *)link->in.data, " 101 "))
        die("refused: %s", link->in.data);
    drop(&link->in, (size_t)(end + 4 - (char *)link->in.data));
    adopt(link, fd);
    say(room, text, snprintf(text, sizeof text, "{\"type\":\"hello\",\"token\":\"%s\"}", room->token));
    take_messages(link);
    flush(link);
}

static void play(int port, double warmup, double seconds)
{
    for (int i = 0; i < room_count; i++) {
        rooms[i].number = -1;
        if (scanf("%127s %127s", rooms[i].path, rooms[i].token) != 2)
            die("only %d seats are given", i);
    }
    for (int i = 0; i < room_count; i++) {
        enter(&rooms[i], port);
        /* On a busy machine it takes minutes until the last is there, and who is silent for one is cut off. */
        look(take_messages, 0);
    }
    uint64_t moved = now();
    for (int up = count_up(), before = up; up < room_count; up = count_up()) {
        if (up > before) {
            before = up;
            moved = now();
        } else if (now() - moved > STALLED_AFTER * 1000000000ull)
            die("only %d of %d rooms play", up, room_count);
        turn(take_messages, 0.05);
    }
    for (int i = 0; i < room_count; i++) {
        play_on(&rooms[i]);
        flush(rooms[i].link);
    }
    measure(take_messages, warmup, seconds);
}

int main(int count, char **words)
{
    signal(SIGPIPE, SIG_IGN);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){65536, 65536});
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (count == 4 && strcmp(words[1], "serve") == 0) {
        state_bytes = (size_t)atol(words[3]);
        if (state_bytes < TEXT || state_bytes > FRAME_MOST / 2)
            die("states have %d to %d bytes", TEXT, FRAME_MOST / 2);
        serve(atoi(words[2]));
    }
    if (count != 6)
        die("counting serve PORT STATE | counting ask|play PORT ROOMS WARMUP SECONDS");
    room_count = atoi(words[3]);
    rooms = calloc((size_t)room_count, sizeof *rooms);
    (strcmp(words[1], "ask") == 0 ? ask : play)(atoi(words[2]), atof(words[4]), atof(words[5]));
    return 0;
}
