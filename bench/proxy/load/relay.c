/* Both ends of what a proxy passes on: the server behind it, and the load in front.
 *
 *     relay serve PORT GREETED                                      prints "ready", and serves for ever
 *     relay trips PORT GREETED CONNECTIONS WARMUP SECONDS           64 bytes there and back, one message under way on each connection
 *     relay up|down PORT GREETED BYTES                              one connection, as fast as it goes
 *
 * With GREETED 1 the proxy is an AuthProxy: the load says AUTH and waits for CONNECTED, the server waits for TYPE and CLIENT_AUTH and answers
 * CONNECTED, before anything is measured. Then the first byte says what the connection is for: E echo, U up, D down, with 8 bytes of length.
 *
 * The load prints lines of JSON. Echoes are compared byte for byte. In bulk only the proxy copies: this sends pages from a memory file and
 * drops what it receives in the kernel, so that the core that both ends share does not become what is measured.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../lockstep/load/histogram.h"

enum { MESSAGE = 64, MOST_CONNECTIONS = 1024, EVENTS = 1024, BUFFER = 1 << 18, PIECE = 1 << 20, ENVELOPE = 4 };

static char buffer[BUFFER];
static int pages; /* a memory file of PIECE bytes */

static void die(const char *what)
{
    fprintf(stderr, "relay: %s (%s)\n", what, strerror(errno));
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

static void make_pages(void)
{
    pages = memfd_create("pages", 0);
    char *data = malloc(PIECE);
    if (pages < 0 || !data)
        die("memory");
    for (int i = 0; i < PIECE; i++)
        data[i] = (char)(i * 31 + (i >> 8));
    if (write(pages, data, PIECE) != PIECE)
        die("memory file");
    free(data);
}

/* Send up to `left` bytes; gives how many the kernel took, 0 where it has no room. */
static uint64_t send_pages(int fd, uint64_t left)
{
    off_t from = 0;
    ssize_t sent = sendfile(fd, pages, &from, left < PIECE ? left : PIECE);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        die("sendfile");
    return sent < 0 ? 0 : (uint64_t)sent;
}

/* -- the server behind the proxy */

struct peer {
    int fd, envelopes; /* how many are still to come before the connection is for something */
    char what;         /* E, U, D, or 0 while it has not been said */
    size_t held;       /* bytes of `head` */
    unsigned char head[BUFFER];
    uint64_t left;
};

static const unsigned char CONNECTED[] = {1, 5 << 2 | 1, 0, 2, '{', '}'};

static void echo(struct peer *p, const void *data, size_t size)
{
    if (size && send(p->fd, data, size, MSG_NOSIGNAL) != (ssize_t)size)
        die("the echo was not taken");
}

/* Read the beginning: envelopes, and what the connection is for. False once it is over. */
static int begin(struct peer *p, int poll)
{
    ssize_t size = recv(p->fd, p->head + p->held, sizeof p->head - p->held, MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
        return 0;
    p->held += size > 0 ? (size_t)size : 0;
    while (p->envelopes && p->held >= ENVELOPE) {
        size_t whole = ENVELOPE + (size_t)(p->head[2] << 8 | p->head[3]);
        if (p->held < whole)
            return 1;
        memmove(p->head, p->head + whole, p->held -= whole);
        if (--p->envelopes == 0)
            echo(p, CONNECTED, sizeof CONNECTED);
    }
    if (p->envelopes || p->held < 9)
        return 1;
    p->what = (char)p->head[0];
    memcpy(&p->left, p->head + 1, 8);
    if (p->what == 'E')
        echo(p, p->head + 9, p->held - 9);
    struct epoll_event event = {.events = p->what == 'D' ? EPOLLOUT : EPOLLIN, .data.ptr = p};
    epoll_ctl(poll, EPOLL_CTL_MOD, p->fd, &event);
    if (p->what == 'U')
        p->left -= p->held - 9;
    return 1;
}

static int serve_one(struct peer *p, int poll)
{
    if (p->what == 0)
        return begin(p, poll);
    if (p->what == 'D') {
        p->left -= send_pages(p->fd, p->left);
        if (p->left == 0) {
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = p};
            epoll_ctl(poll, EPOLL_CTL_MOD, p->fd, &event);
            p->what = 'E';
        }
        return 1;
    }
    int drop = p->what == 'U';
    ssize_t size = recv(p->fd, drop ? NULL : buffer, drop ? 1 << 24 : BUFFER, MSG_DONTWAIT | (drop ? MSG_TRUNC : 0));
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
        return 0;
    if (size > 0 && !drop)
        echo(p, buffer, (size_t)size);
    else if (size > 0 && (p->left -= (uint64_t)size) == 0)
        echo(p, "!", 1);
    return 1;
}

static void serve(int port, int greeted)
{
    int yes = 1, listening = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0);
    struct sockaddr_in address = loopback(port);
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listening, (struct sockaddr *)&address, sizeof address) != 0 || listen(listening, MOST_CONNECTIONS) != 0)
        die("no port");
    struct epoll_event events[EVENTS], event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(poll, EPOLL_CTL_ADD, listening, &event);
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct peer *p = events[i].data.ptr;
            if (p == NULL) {
                p = calloc(1, sizeof *p);
                if (!p || (p->fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK)) < 0)
                    die("accept");
                p->envelopes = greeted ? 2 : 0;
                setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                event.data.ptr = p;
                epoll_ctl(poll, EPOLL_CTL_ADD, p->fd, &event);
            } else if (!serve_one(p, poll)) {
                close(p->fd);
                free(p);
            }
        }
    }
}

/* -- the load in front of the proxy */

struct client {
    int fd;
    uint32_t number;
    size_t matched;
    uint64_t sent_at;
    unsigned char message[MESSAGE];
};

static struct client clients[MOST_CONNECTIONS];
static struct histogram latencies;
static uint64_t trips;
static int measuring;

static void read_all(int fd, void *into, size_t size)
{
    if (recv(fd, into, size, MSG_WAITALL) != (ssize_t)size)
        die("no answer");
}

/* Connect, say AUTH and hear CONNECTED where the proxy wants it, and say what the connection is for. */
static int enter(int port, int greeted, char what, uint64_t length)
{
    struct sockaddr_in address = loopback(port);
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("no connection");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (greeted) {
        static const char auth[] = "{\"id\":\"a-session-token-of-somebody\"}";
        unsigned char head[ENVELOPE] = {1, 3 << 2 | 1, 0, sizeof auth - 1};
        if (send(fd, head, ENVELOPE, MSG_MORE) != ENVELOPE || send(fd, auth, sizeof auth - 1, 0) != sizeof auth - 1)
            die("AUTH");
        read_all(fd, head, ENVELOPE);
        if (head[0] != 1 || head[1] != (5 << 2 | 1))
            die("the proxy did not answer CONNECTED");
        read_all(fd, buffer, (size_t)(head[2] << 8 | head[3]));
    }
    unsigned char first[9] = {(unsigned char)what};
    memcpy(first + 1, &length, 8);
    if (send(fd, first, 9, MSG_NOSIGNAL) != 9)
        die("send");
    return fd;
}

static void ask(struct client *c)
{
    for (int i = 0; i < MESSAGE; i += 4, c->number = c->number * 1664525u + 1013904223u)
        memcpy(c->message + i, &c->number, 4);
    c->matched = 0;
    c->sent_at = now();
    if (send(c->fd, c->message, MESSAGE, MSG_NOSIGNAL) != MESSAGE)
        die("a message was not taken");
}

static void run_until(int poll, uint64_t end)
{
    struct epoll_event events[EVENTS];
    while (now() < end) {
        int n = epoll_wait(poll, events, EVENTS, 100);
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            ssize_t size = recv(c->fd, buffer, BUFFER, MSG_DONTWAIT);
            if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
                die("a connection is lost");
            if (size <= 0)
                continue;
            if (c->matched + (size_t)size > MESSAGE || memcmp(c->message + c->matched, buffer, (size_t)size) != 0)
                die("what came back is not what was sent");
            if ((c->matched += (size_t)size) < MESSAGE)
                continue;
            if (measuring) {
                histogram_add(&latencies, now() - c->sent_at);
                trips++;
            }
            ask(c);
        }
    }
}

static int run_trips(int port, int greeted, int count, double warmup, double seconds)
{
    int poll = epoll_create1(0);
    if (count > MOST_CONNECTIONS)
        die("too many connections");
    for (int i = 0; i < count; i++) {
        struct client *c = &clients[i];
        c->fd = enter(port, greeted, 'E', 0);
        c->number = (uint32_t)i;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &event);
    }
    for (int i = 0; i < count; i++)
        ask(&clients[i]);
    run_until(poll, now() + (uint64_t)(warmup * 1e9));
    printf("measuring\n");
    fflush(stdout);
    measuring = 1;
    double cpu = cpu_used();
    uint64_t began = now();
    run_until(poll, began + (uint64_t)(seconds * 1e9));
    printf("{\"done\": %llu, \"seconds\": %.6f, \"cpu\": %.6f, \"p50\": %.9f, \"p99\": %.9f}\n", (unsigned long long)trips,
           (double)(now() - began) / 1e9, cpu_used() - cpu, (double)histogram_quantile(&latencies, 0.5) / 1e9,
           (double)histogram_quantile(&latencies, 0.99) / 1e9);
    return 0;
}

static int run_bulk(int port, int greeted, char what, uint64_t bytes)
{
    printf("measuring\n");
    fflush(stdout);
    double cpu = cpu_used();
    int fd = enter(port, greeted, what, bytes);
    uint64_t began = now(), left = bytes;
    while (left) {
        ssize_t size = what == 'U' ? (ssize_t)send_pages(fd, left) : recv(fd, NULL, 1 << 24, MSG_TRUNC);
        if (size <= 0)
            die("a connection is lost");
        left -= (uint64_t)size;
    }
    if (what == 'U')
        read_all(fd, buffer, 1);
    printf("{\"done\": %llu, \"seconds\": %.6f, \"cpu\": %.6f}\n", (unsigned long long)bytes, (double)(now() - began) / 1e9, cpu_used() - cpu);
    return 0;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    make_pages();
    if (argc == 4 && strcmp(argv[1], "serve") == 0)
        serve(atoi(argv[2]), atoi(argv[3]));
    if (argc == 7 && strcmp(argv[1], "trips") == 0)
        return run_trips(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), atof(argv[5]), atof(argv[6]));
    if (argc == 5 && (strcmp(argv[1], "up") == 0 || strcmp(argv[1], "down") == 0))
        return run_bulk(atoi(argv[2]), atoi(argv[3]), argv[1][0] == 'u' ? 'U' : 'D', strtoull(argv[4], NULL, 10));
    fprintf(stderr, "relay serve PORT GREETED | trips PORT GREETED CONNECTIONS WARMUP SECONDS | up PORT GREETED BYTES | down PORT GREETED BYTES\n");
    return 2;
}
