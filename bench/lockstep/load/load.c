/* Plays many lock-step rooms at once over WebSocket, or in envelopes over TCP, on one core, and checks every master that comes.
 *
 *   load --port P --players N [--host H] [--binary | --colyseus] [--envelopes] [--bytes 32] [--window D] [--rate R] [--warmup S] [--seconds S]
 *
 * stdin: one line `<room> <seat> <path> <seat token>` for each seat, an empty line, and later `go`.
 * stdout: one JSON line at the end of each phase: `connected` (every seat has its welcome; waits for `go`),
 * `started` (every seat plays; the warm-up begins), `measuring`, and `measured` with the figures.
 * Anything that a correct room would not do ends it with one line on stderr and status 1.
 *
 * Without --rate each client sends its next packet when a master arrives, so the server is as busy as it can be;
 * with it each client sends R packets a second as the window allows, the clients of a room evenly spread.
 * With --colyseus the same binary packets travel in Colyseus's messages, and its way of joining stands for `hello` and `welcome`.
 * With --envelopes there is no web socket: the messages travel in ROOM envelopes of the game port, and AUTH stands for handshake and `hello`.
 * The turn latency runs from the sending of a generation's last packet to the master's arrival, for each member.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "colyseus.h"
#include "envelopes.h"
#include "histogram.h"
#include "json.h"
#include "packets.h"
#include "websocket.h"

enum { HISTORY = 64, OUT_MAX = 64 * 1024, STALLED_AFTER = 10 };

struct room {
    uint64_t last_sent[HISTORY]; /* when the last packet of a generation went out, by generation modulo HISTORY */
};

struct seat {
    int fd, room, number, welcomed, playing, polled_out;
    uint32_t next_send, next_master, owed;
    uint8_t *in, *out;
    size_t in_size, in_room, out_size;
    char path[128], token[128];
};

static struct {
    const char *host;
    int port, players, binary, colyseus, envelopes, window;
    size_t bytes;
    double rate, warmup, seconds;
} options = {.host = "127.0.0.1", .window = 2, .bytes = 32, .warmup = 1, .seconds = 5};

static struct seat *seats;
static struct room *rooms;
static int seat_count, room_count, poller, welcomed, playing;
static struct histogram latency;
static struct {
    uint64_t masters, turns, bytes, resends, lags, stalls;
} counted;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

__attribute__((noreturn, format(printf, 2, 3))) static void fail(const struct seat *seat, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (seat)
        fprintf(stderr, "load: room %d seat %d at generation %u: ", seat->room, seat->number, seat->next_master);
    else
        fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

static void *allocated(void *memory)
{
    if (!memory)
        fail(NULL, "no memory left");
    return memory;
}

static uint32_t next_mask(void)
{
    static uint32_t x = 0x9e3779b9;
    x ^= x << 13;
    x ^= x >> 17;
    return x ^= x << 5;
}

/* ---- sending ---- */

static void watch_out(struct seat *seat, int on)
{
    if (seat->polled_out == on)
        return;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET | (on ? EPOLLOUT : 0), .data.ptr = seat};
    epoll_ctl(poller, EPOLL_CTL_MOD, seat->fd, &event);
    seat->polled_out = on;
}

static void flush(struct seat *seat)
{
    if (seat->out_size == 0)
        return;
    ssize_t sent = send(seat->fd, seat->out, seat->out_size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        fail(seat, "send: %s", strerror(errno));
    if (sent > 0) {
        seat->out_size -= (size_t)sent;
        memmove(seat->out, seat->out + sent, seat->out_size);
    }
    watch_out(seat, seat->out_size > 0);
}

/* Queues one message; `flush` sends what is queued. */
static void queue_message(struct seat *seat, int opcode, const void *data, size_t size)
{
    if (seat->out_size + size + WS_HEAD > OUT_MAX)
        fail(seat, "the server does not read what we send");
    if (options.envelopes)
        seat->out_size += envelope_build(seat->out + seat->out_size, ENVELOPE_ROOM, opcode == WS_BINARY ? ENVELOPE_RAW : ENVELOPE_JSON, data, size);
    else
        seat->out_size += ws_build(seat->out + seat->out_size, opcode, data, size, next_mask());
}

static void queue_packet(struct seat *seat)
{
    uint8_t packet[COLYSEUS_HEAD + PACKET_MAX] = {COLYSEUS_ROOM_DATA_BYTES, COLYSEUS_PLAY};
    size_t head = options.colyseus ? COLYSEUS_HEAD : 0;
    uint32_t generation = seat->next_send++;
    int64_t applied = (int64_t)generation - options.window;
    size_t size = packet_build(packet + head, options.binary, (unsigned)seat->number, generation, applied, options.bytes);
    queue_message(seat, options.binary ? WS_BINARY : WS_TEXT, packet, head + size);
    rooms[seat->room].last_sent[generation % HISTORY] = now_ns();
}

static void queue_owed(struct seat *seat)
{
    while (seat->owed && seat->next_send < seat->next_master + (uint32_t)options.window) {
        queue_packet(seat);
        seat->owed--;
    }
}

/* ---- what comes ---- */

static void take_master(struct seat *seat, const struct frame *frame, uint64_t now)
{
    const char *fault = frame->opcode == WS_BINARY
        ? master_fault_binary(frame->data, frame->size, seat->next_master, (unsigned)options.players, options.bytes)
        : master_fault_json((struct text){(const char *)frame->data, frame->size}, seat->next_master, (unsigned)options.players, options.bytes);
    if (fault)
        fail(seat, "%s: %.*s", fault, frame->opcode == WS_TEXT ? (int)frame->size : 0, (const char *)frame->data);
    histogram_add(&latency, now - rooms[seat->room].last_sent[seat->next_master % HISTORY]);
    seat->next_master++;
    counted.masters++;
    counted.turns += seat->number == 0;
    if (options.rate == 0)
        seat->owed++;
    queue_owed(seat);
}

static void take_start(struct seat *seat, int64_t input_delay)
{
    if (input_delay != options.window)
        fail(seat, "an input_delay of %lld and not ours", (long long)input_delay);
    seat->playing = 1;
    playing++;
    seat->owed += (uint32_t)options.window;
    queue_owed(seat);
}

static void take_text(struct seat *seat, const struct frame *frame, uint64_t now)
{
    struct text message = {(const char *)frame->data, frame->size}, type = json_field(message, "type");
    if (json_is(type, "master")) {
        take_master(seat, frame, now);
    } else if (json_is(type, "welcome")) {
        seat->welcomed = 1;
        welcomed++;
    } else if (json_is(type, "start")) {
        take_start(seat, json_integer(json_field(message, "input_delay")));
    } else if (json_is(type, "resend")) {
        counted.resends++;
    } else if (json_is(type, "state")) {
        counted.lags += json_is(json_field(message, "state"), "running.paused.lagging") && seat->number == 0;
    } else if (!json_is(type, "players") && !json_is(type, "setup") && !json_is(type, "ack")) {
        fail(seat, "unexpected message: %.*s", (int)message.size, message.at);
    }
}

static void take_colyseus(struct seat *seat, const struct frame *frame, uint64_t now)
{
    const uint8_t *data = frame->data;
    if (frame->size >= COLYSEUS_HEAD && data[0] == COLYSEUS_ROOM_DATA_BYTES && data[1] == COLYSEUS_PLAY) {
        take_master(seat, &(struct frame){WS_BINARY, data + COLYSEUS_HEAD, frame->size - COLYSEUS_HEAD}, now);
    } else if (frame->size == COLYSEUS_HEAD + 1 && data[0] == COLYSEUS_ROOM_DATA_BYTES && data[1] == COLYSEUS_BEGIN) {
        take_start(seat, data[COLYSEUS_HEAD]);
    } else if (frame->size && data[0] == COLYSEUS_JOIN_ROOM && !seat->welcomed) {
        queue_message(seat, WS_BINARY, colyseus_joined, sizeof colyseus_joined);
        seat->welcomed = 1;
        welcomed++;
    } else {
        fail(seat, "unexpected message of Colyseus, kind %d", frame->size ? data[0] : -1);
    }
}

static void take_frame(struct seat *seat, const struct frame *frame, uint64_t now)
{
    switch (frame->opcode) {
    case WS_BINARY:
        if (options.colyseus)
            take_colyseus(seat, frame, now);
        else
            take_master(seat, frame, now);
        break;
    case WS_TEXT:
        take_text(seat, frame, now);
        break;
    case WS_PING:
        queue_message(seat, WS_PONG, frame->data, frame->size);
        break;
    case WS_CLOSE:
        if (options.envelopes)
            fail(seat, "refused by the server: %.*s", (int)frame->size, (const char *)frame->data);
        fail(seat, "closed by the server with %d", frame->size >= 2 ? frame->data[0] << 8 | frame->data[1] : 1005);
    }
}

static void take_buffered(struct seat *seat, uint64_t now)
{
    size_t used = 0;
    struct frame frame;
    for (;;) {
        long size = (options.envelopes ? envelope_parse : ws_parse)(seat->in + used, seat->in_size - used, &frame);
        if (size < 0)
            fail(seat, "not a frame or an envelope that a server may send");
        if (size == 0)
            break;
        take_frame(seat, &frame, now);
        used += (size_t)size;
    }
    seat->in_size -= used;
    memmove(seat->in, seat->in + used, seat->in_size);
    flush(seat);
}

/* Reads what is there. Events come once only (EPOLLET), so a read that filled the buffer is followed by another. */
static void read_seat(struct seat *seat)
{
    size_t asked;
    ssize_t size;
    do {
        if (seat->in_size == seat->in_room)
            seat->in = allocated(realloc(seat->in, seat->in_room *= 2));
        asked = seat->in_room - seat->in_size;
        size = recv(seat->fd, seat->in + seat->in_size, asked, 0);
        if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (size <= 0)
            fail(seat, "the connection ended: %s", size ? strerror(errno) : "closed without a word");
        seat->in_size += (size_t)size;
        counted.bytes += (uint64_t)size;
        take_buffered(seat, now_ns());
    } while ((size_t)size == asked);
}

/* ---- connecting ---- */

static void shake_hands(struct seat *seat)
{
    char request[512];
    int size = snprintf(request, sizeof request,
        "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " WS_KEY
        "\r\nSec-WebSocket-Version: 13\r\n%s\r\n", seat->path, options.host, options.port,
        options.colyseus ? "" : "Sec-WebSocket-Protocol: gameroom.v1\r\n");
    if (send(seat->fd, request, (size_t)size, MSG_NOSIGNAL) != size)
        fail(seat, "send: %s", strerror(errno));
    char *end = NULL;
    while (!end) {
        ssize_t got = recv(seat->fd, seat->in + seat->in_size, seat->in_room - seat->in_size - 1, 0);
        if (got <= 0)
            fail(seat, "no answer to the handshake");
        seat->in_size += (size_t)got;
        seat->in[seat->in_size] = 0;
        end = strstr((char *)seat->in, "\r\n\r\n");
    }
    if (!strstr((char *)seat->in, " 101 ") || !strstr((char *)seat->in, WS_ACCEPT) || (!options.colyseus && !strstr((char *)seat->in, "gameroom.v1")))
        fail(seat, "the handshake was refused: %.*s", (int)(end - (char *)seat->in), (char *)seat->in);
    size_t head = (size_t)(end + 4 - (char *)seat->in);
    seat->in_size -= head;
    memmove(seat->in, seat->in + head, seat->in_size);
}

static void open_seat(struct seat *seat)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    if (inet_pton(AF_INET, options.host, &address.sin_addr) != 1)
        fail(NULL, "--host is a numeric IPv4 address");
    seat->in_room = 4096;
    seat->in = allocated(malloc(seat->in_room));
    seat->out = allocated(malloc(OUT_MAX));
    seat->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (seat->fd < 0 || connect(seat->fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail(seat, "connect: %s", strerror(errno));
    setsockopt(seat->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (!options.envelopes)
        shake_hands(seat);
    fcntl(seat->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = seat};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, seat->fd, &event) < 0)
        fail(seat, "epoll: %s", strerror(errno));
    if (options.envelopes) {
        char auth[256];
        int size = snprintf(auth, sizeof auth, "{\"id\":\"%s\"}", seat->token);
        seat->out_size += envelope_build(seat->out, ENVELOPE_AUTH, ENVELOPE_JSON, auth, (size_t)size);
    } else if (!options.colyseus) {
        char hello[256];
        int size = snprintf(hello, sizeof hello, "{\"type\":\"hello\",\"token\":\"%s\"}", seat->token);
        queue_message(seat, WS_TEXT, hello, (size_t)size);
    }
    take_buffered(seat, now_ns());
}

static void read_seats_wanted(void)
{
    char line[512];
    int room_of_line = 0, space = 0;
    while (fgets(line, sizeof line, stdin) && line[0] != '\n') {
        if (seat_count == space)
            seats = allocated(realloc(seats, (size_t)(space = space * 2 + 64) * sizeof *seats));
        struct seat *seat = &seats[seat_count++];
        memset(seat, 0, sizeof *seat);
        if (sscanf(line, "%d %d %127s %127s", &seat->room, &seat->number, seat->path, seat->token) != 4)
            fail(NULL, "not a seat: %s", line);
        if (seat->room >= room_of_line)
            room_of_line = seat->room + 1;
    }
    room_count = room_of_line;
    rooms = allocated(calloc((size_t)room_count + 1, sizeof *rooms));
}

/* ---- the loop ---- */

static void wait_for_events(int timeout_ms)
{
    static struct epoll_event events[512];
    int count = epoll_wait(poller, events, 512, timeout_ms);
    for (int i = 0; i < count; i++) {
        if (events[i].events & EPOLLOUT)
            flush(events[i].data.ptr);
        if (events[i].events & ~(uint32_t)EPOLLOUT)
            read_seat(events[i].data.ptr);
    }
}

/* Until `*counter` is `target`; everything that takes longer than a stall may is an error. */
static void wait_until(const int *counter, int target, const char *what)
{
    uint64_t moved = now_ns();
    for (int before = *counter; *counter < target; before = *counter) {
        wait_for_events(100);
        if (*counter != before)
            moved = now_ns();
        else if (now_ns() - moved > STALLED_AFTER * 1000000000ull)
            fail(NULL, "only %d of %d seats %s", *counter, target, what);
    }
}

/* With --rate: lets the seats whose turn it is send. The seats stand in a circle that is gone round once in a turn. */
static void send_due(uint64_t now)
{
    static uint64_t begun, sent;
    if (!begun)
        begun = now;
    uint64_t due = (uint64_t)((double)(now - begun) * 1e-9 * options.rate * seat_count);
    for (; sent < due; sent++) {
        struct seat *seat = &seats[sent % (uint64_t)seat_count];
        seat->owed++;
        queue_owed(seat);
        counted.stalls += seat->owed > 0;
        flush(seat);
    }
}

static void play_for(double duration)
{
    uint64_t now = now_ns(), until = now + (uint64_t)(duration * 1e9), moved = now, before = counted.masters;
    while ((now = now_ns()) < until) {
        if (options.rate > 0)
            send_due(now);
        wait_for_events(options.rate > 0 ? 1 : 100);
        if (counted.masters != before) {
            before = counted.masters;
            moved = now;
        } else if (now - moved > STALLED_AFTER * 1000000000ull)
            fail(&seats[0], "no master in any room for %d seconds", STALLED_AFTER);
    }
}

static double cpu_seconds(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

static void tell(const char *phase)
{
    printf("{\"phase\":\"%s\"}\n", phase);
    fflush(stdout);
}

static void measure(void)
{
    memset(&counted, 0, sizeof counted);
    histogram_clear(&latency);
    double cpu = cpu_seconds();
    uint64_t begun = now_ns();
    tell("measuring");
    play_for(options.seconds);
    double seconds = (double)(now_ns() - begun) * 1e-9;
    printf("{\"phase\":\"measured\",\"seconds\":%.6f,\"masters\":%llu,\"turns\":%llu,\"bytes\":%llu,\"resends\":%llu,\"lags\":%llu,\"stalls\":%llu,"
           "\"latency_p50\":%.9f,\"latency_p99\":%.9f,\"latency_max\":%.9f,\"load_cpu\":%.6f}\n",
        seconds, (unsigned long long)counted.masters, (unsigned long long)counted.turns, (unsigned long long)counted.bytes,
        (unsigned long long)counted.resends, (unsigned long long)counted.lags, (unsigned long long)counted.stalls,
        (double)histogram_quantile(&latency, 0.5) * 1e-9, (double)histogram_quantile(&latency, 0.99) * 1e-9,
        (double)histogram_quantile(&latency, 1.0 - 1e-12) * 1e-9, cpu_seconds() - cpu);
    fflush(stdout);
}

static void read_options(int count, char **given)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(given[i], "--binary") == 0 || strcmp(given[i], "--colyseus") == 0) {
            options.binary = 1;
            options.colyseus |= given[i][2] == 'c';
            continue;
        }
        if (strcmp(given[i], "--envelopes") == 0) {
            options.envelopes = 1;
            continue;
        }
        if (i + 1 == count)
            fail(NULL, "%s needs a value", given[i]);
        const char *value = given[i + 1];
        if (strcmp(given[i], "--host") == 0)
            options.host = value;
        else if (strcmp(given[i], "--port") == 0)
            options.port = atoi(value);
        else if (strcmp(given[i], "--players") == 0)
            options.players = atoi(value);
        else if (strcmp(given[i], "--window") == 0)
            options.window = atoi(value);
        else if (strcmp(given[i], "--bytes") == 0)
            options.bytes = (size_t)atoi(value);
        else if (strcmp(given[i], "--rate") == 0)
            options.rate = atof(value);
        else if (strcmp(given[i], "--warmup") == 0)
            options.warmup = atof(value);
        else if (strcmp(given[i], "--seconds") == 0)
            options.seconds = atof(value);
        else
            fail(NULL, "unknown option %s", given[i]);
        i++;
    }
    if (options.players < 1 || options.window < 1 || options.window > HISTORY / 2)
        fail(NULL, "--players is at least 1, --window 1 to %d", HISTORY / 2);
    if (options.bytes < COMMAND_MIN || options.bytes > COMMAND_MAX)
        fail(NULL, "--bytes is %d to %d", COMMAND_MIN, COMMAND_MAX);
}

int main(int count, char **given)
{
    read_options(count, given);
    read_seats_wanted();
    poller = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < seat_count; i++)
        open_seat(&seats[i]);
    wait_until(&welcomed, seat_count, "were welcomed");
    tell("connected");
    char line[16];
    if (!fgets(line, sizeof line, stdin))
        return 0;
    static const char ready[] = "{\"type\":\"ready\",\"ready\":true}";
    for (int i = 0; i < seat_count; i++) {
        if (options.colyseus)
            queue_message(&seats[i], WS_BINARY, colyseus_ready, sizeof colyseus_ready);
        else
            queue_message(&seats[i], WS_TEXT, ready, sizeof ready - 1);
        flush(&seats[i]);
    }
    wait_until(&playing, seat_count, "play");
    tell("started");
    play_for(options.warmup);
    measure();
    return 0;
}
