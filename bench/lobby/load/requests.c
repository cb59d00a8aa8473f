/* Requests over JSON lines, in a closed loop: each connection keeps `depth` of them under way, and every answer is compared byte for byte.
 *
 *     requests PORT DEPTH WARMUP SECONDS REQUESTS ANSWER
 *
 * REQUESTS is a file with a line for each connection: what it says, again and again.
 * ANSWER is a file with the line that each of them must be answered.
 * It prints one line of JSON. An answer that is another ends it with status 1 and a line that says where.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../lockstep/load/histogram.h"

enum { MOST_CONNECTIONS = 1024, MOST_DEPTH = 256, BUFFER = 1 << 20 };

struct connection {
    int fd;
    char *requests; /* `depth` of them, one behind the other */
    size_t request_size;
    size_t matched;              /* bytes of the answer that have come */
    uint64_t sent[MOST_DEPTH];   /* when, by their place in the circle */
    unsigned next_sent, next_answered;
};

static struct connection connections[MOST_CONNECTIONS];
static int count, depth;
static char *answer;
static size_t answer_size;
static struct histogram latencies;
static uint64_t answers;
static int measuring;

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "load: %s (%s)\n", what, strerror(errno));
    exit(1);
}

static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        die(path);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *data = malloc(*size + 1);
    if (!data || fread(data, 1, *size, file) != *size)
        die(path);
    data[*size] = 0;
    fclose(file);
    return data;
}

/* Send n more requests, all in one. Requests are short and at most `depth` are under way: the kernel takes them all. */
static void ask(struct connection *c, unsigned n)
{
    uint64_t at = now();
    for (unsigned i = 0; i < n; i++)
        c->sent[c->next_sent++ % MOST_DEPTH] = at;
    size_t size = n * c->request_size;
    if (send(c->fd, c->requests, size, MSG_NOSIGNAL) != (ssize_t)size)
        die("requests were not taken");
}

static void take(struct connection *c, const char *data, size_t size)
{
    unsigned complete = 0;
    uint64_t at = now();
    while (size > 0) {
        size_t piece = answer_size - c->matched;
        if (piece > size)
            piece = size;
        if (memcmp(answer + c->matched, data, piece) != 0) {
            fprintf(stderr, "load: an answer is another than it should be: %.*s\n", (int)(size > 200 ? 200 : size), data);
            exit(1);
        }
        c->matched += piece;
        data += piece;
        size -= piece;
        if (c->matched == answer_size) {
            c->matched = 0;
            complete++;
            if (c->next_answered == c->next_sent)
                die("more answers than requests");
            if (measuring)
                histogram_add(&latencies, at - c->sent[c->next_answered % MOST_DEPTH]);
            c->next_answered++;
        }
    }
    if (measuring)
        answers += complete;
    if (complete)
        ask(c, complete);
}

static void open_all(int port, char *lines)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (char *line = strtok(lines, "\n"); line; line = strtok(NULL, "\n")) {
        if (count == MOST_CONNECTIONS)
            die("too many connections");
        struct connection *c = &connections[count++];
        c->request_size = strlen(line) + 1;
        c->requests = malloc(c->request_size * (size_t)depth);
        for (int i = 0; i < depth; i++) {
            memcpy(c->requests + (size_t)i * c->request_size, line, c->request_size - 1);
            c->requests[(size_t)(i + 1) * c->request_size - 1] = '\n';
        }
        int yes = 1;
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0)
            die("no connection");
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    }
}

static void run_until(int poll, uint64_t end)
{
    static char buffer[BUFFER];
    struct epoll_event events[MOST_CONNECTIONS];
    while (now() < end) {
        int n = epoll_wait(poll, events, MOST_CONNECTIONS, 100);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            ssize_t size = recv(c->fd, buffer, sizeof buffer, MSG_DONTWAIT);
            if (size == 0)
                die("the server closed a connection");
            if (size < 0 && errno != EAGAIN && errno != EINTR)
                die("recv");
            if (size > 0)
                take(c, buffer, (size_t)size);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "requests PORT DEPTH WARMUP SECONDS REQUESTS ANSWER\n");
        return 2;
    }
    depth = atoi(argv[2]);
    if (depth < 1 || depth > MOST_DEPTH)
        return 2;
    size_t size;
    char *lines = read_file(argv[5], &size);
    answer = read_file(argv[6], &answer_size);
    open_all(atoi(argv[1]), lines);
    int poll = epoll_create1(0);
    for (int i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        epoll_ctl(poll, EPOLL_CTL_ADD, connections[i].fd, &event);
        ask(&connections[i], (unsigned)depth);
    }
    run_until(poll, now() + (uint64_t)(atof(argv[3]) * 1e9));
    printf("measuring\n");
    fflush(stdout);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    measuring = 1;
    uint64_t began = now();
    run_until(poll, began + (uint64_t)(atof(argv[4]) * 1e9));
    double seconds = (double)(now() - began) / 1e9;
    getrusage(RUSAGE_SELF, &after);
    double cpu = (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_stime.tv_sec) +
                 (double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_stime.tv_usec) / 1e6;
    printf("{\"answers\": %llu, \"seconds\": %.6f, \"load_cpu\": %.6f, \"p50\": %.9f, \"p99\": %.9f}\n", (unsigned long long)answers, seconds, cpu,
           (double)histogram_quantile(&latencies, 0.5) / 1e9, (double)histogram_quantile(&latencies, 0.99) / 1e9);
    return 0;
}
