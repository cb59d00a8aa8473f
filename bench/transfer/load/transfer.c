/*
 * Puts one transfer on a JSON-lines server and checks every byte that comes back.
 *
 *   transfer up   PORT TOKEN ID CHUNK_BYTES CHUNKS WINDOW [RATE]  sends UPLOAD_CHUNK, so many ahead of their answers
 *   transfer down PORT TOKEN ID CHUNK_BYTES CHUNKS                sends DOWNLOAD_BEGIN for the game ID, and takes what comes
 *
 * All chunks have the same bytes, which stand in base64 on stdin. So nothing is encoded here, and what comes is compared, not decoded:
 * the load takes a small part of what the server does. A RATE is in chunks a second.
 *
 * Prints {"seconds": S, "cpu": S}: from the first byte that is sent to the last that comes, and the CPU time that took here.
 * Whatever is not as it should be ends it with a line that says what.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { RECEIVED = 1 << 20, HEAD = 1024 };

static void fail(const char *format, ...)
{
    va_list rest;
    va_start(rest, format);
    vfprintf(stderr, format, rest);
    va_end(rest);
    fputc('\n', stderr);
    exit(1);
}

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail("cannot connect: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static char *read_all(size_t *length)
{
    size_t room = 1 << 20, used = 0;
    char *text = malloc(room);
    ssize_t got;
    while ((got = read(0, text + used, room - used)) > 0)
        if ((used += (size_t)got) == room)
            text = realloc(text, room *= 2);
    *length = used;
    return text;
}

/* ---- upload ---- */

struct out {
    char head[HEAD];
    size_t head_length, sent, length;
};

static const char TAIL[] = "\"}}\n";

static void next_line(struct out *out, const char *token, const char *id, long seq, size_t data)
{
    out->head_length = (size_t)snprintf(out->head, sizeof out->head,
        "{\"type\":\"UPLOAD_CHUNK\",\"token\":\"%s\",\"payload\":{\"upload_id\":\"%s\",\"seq\":%ld,\"data_b64\":\"", token, id, seq);
    out->sent = 0;
    out->length = out->head_length + data + sizeof TAIL - 1;
}

/* Sends what it can of the line; 1 when all of it is sent. */
static int send_some(int fd, struct out *out, char *text, size_t data)
{
    struct iovec all[3] = {{out->head, out->head_length}, {text, data}, {(char *)TAIL, sizeof TAIL - 1}};
    size_t skip = out->sent;
    int first = 0;
    while (first < 2 && skip >= all[first].iov_len)
        skip -= all[first++].iov_len;
    all[first].iov_base = (char *)all[first].iov_base + skip;
    all[first].iov_len -= skip;
    struct msghdr message = {.msg_iov = all + first, .msg_iovlen = (size_t)(3 - first)};
    ssize_t sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        fail("cannot send: %s", strerror(errno));
    out->sent += sent > 0 ? (size_t)sent : 0;
    return out->sent == out->length;
}

/* Shows the token, before which nobody may send a long line. */
static void greet(int fd, const char *token, const char *id)
{
    char line[HEAD];
    int length = snprintf(line, sizeof line, "{\"type\":\"UPLOAD_STATUS\",\"token\":\"%s\",\"payload\":{\"upload_id\":\"%s\"}}\n", token, id);
    if (send(fd, line, (size_t)length, MSG_NOSIGNAL) != length)
        fail("cannot send: %s", strerror(errno));
    do {
        if (recv(fd, line, 1, 0) <= 0)
            fail("the server closed the connection");
    } while (*line != '\n');
}

static void upload(int fd, const char *token, const char *id, long chunks, long window, double rate, char *text, size_t data)
{
    static const char OK[] = "{\"status\":\"ok\"";
    static char received[RECEIVED];
    size_t used = 0;
    long begun = 0, answered = 0;
    int sending = 0;
    struct out out;
    greet(fd, token, id);
    double start = now(CLOCK_MONOTONIC);
    while (answered < chunks) {
        double due = rate > 0 ? start + (double)begun / rate : 0;
        int wait = -1;
        if (!sending && begun < chunks && begun - answered < window) {
            double late = now(CLOCK_MONOTONIC) - due;
            if (rate <= 0 || late >= 0) {
                next_line(&out, token, id, begun++, data);
                sending = 1;
            } else
                wait = (int)(-late * 1e3) + 1;
        }
        if (sending && send_some(fd, &out, text, data)) {
            sending = 0;
            if (begun < chunks && begun - answered < window && rate <= 0)
                continue;
        }
        struct pollfd ready = {fd, (short)(POLLIN | (sending ? POLLOUT : 0)), 0};
        if (poll(&ready, 1, wait) <= 0 || !(ready.revents & (POLLIN | POLLHUP | POLLERR)))
            continue;
        ssize_t got = recv(fd, received + used, sizeof received - used, 0);
        if (got <= 0)
            fail("the server closed the connection after %ld of %ld answers", answered, chunks);
        used += (size_t)got;
        char *line = received, *end;
        while ((end = memchr(line, '\n', used - (size_t)(line - received)))) {
            if ((size_t)(end - line) < sizeof OK - 1 || memcmp(line, OK, sizeof OK - 1) != 0)
                fail("chunk %ld was answered %.*s", answered, (int)(end - line), line);
            answered++;
            line = end + 1;
        }
        used -= (size_t)(line - received);
        memmove(received, line, used);
    }
}

/* ---- download ---- */

static void check_chunk(const char *line, size_t length, long seq, const char *text, size_t data)
{
    static const char DATA[] = "\"data_b64\":\"";
    char number[32];
    size_t head = length - data - (sizeof TAIL - 2);
    snprintf(number, sizeof number, "\"seq\":%ld,", seq);
    if (length < data + sizeof TAIL - 2 || head > HEAD || memcmp(line + head, text, data) != 0 || memcmp(line + head - (sizeof DATA - 1), DATA, sizeof DATA - 1) != 0
        || memmem(line, head, number, strlen(number)) == NULL)
        fail("chunk %ld is not what it should be: %.200s", seq, line);
}

static void download(int fd, const char *token, const char *id, long chunk_bytes, long chunks, const char *text, size_t data)
{
    size_t room = 2 * (data + HEAD) + RECEIVED, used = 0, looked = 0;
    char *received = malloc(room), request[HEAD];
    long seq = -1;
    int length = snprintf(request, sizeof request,
        "{\"type\":\"DOWNLOAD_BEGIN\",\"token\":\"%s\",\"payload\":{\"game_id\":\"%s\",\"chunk_size\":%ld}}\n", token, id, chunk_bytes);
    if (send(fd, request, (size_t)length, MSG_NOSIGNAL) != length)
        fail("cannot send: %s", strerror(errno));
    for (;;) {
        ssize_t got = recv(fd, received + used, room - used, 0);
        if (got <= 0)
            fail("the server closed the connection after %ld of %ld chunks", seq, chunks);
        used += (size_t)got;
        char *line = received, *end, *from = received + looked;
        while ((end = memchr(from, '\n', used - (size_t)(from - received)))) {
            size_t bytes = (size_t)(end - line);
            if (seq < 0) {
                if (memcmp(line, "{\"status\":\"ok\"", 14) != 0)
                    fail("DOWNLOAD_BEGIN was answered %.*s", (int)bytes, line);
            } else if (seq < chunks)
                check_chunk(line, bytes, seq, text, data);
            else if (memmem(line, bytes, "DOWNLOAD_END", 12) != NULL) {
                free(received);
                return;
            } else
                fail("instead of DOWNLOAD_END came %.*s", (int)bytes, line);
            seq++;
            line = from = end + 1;
        }
        used -= (size_t)(line - received);
        memmove(received, line, used);
        looked = used;
    }
}

int main(int count, char **given)
{
    if (count < 7)
        fail("transfer up PORT TOKEN ID CHUNK_BYTES CHUNKS WINDOW [RATE], or transfer down PORT TOKEN ID CHUNK_BYTES CHUNKS");
    size_t data;
    char *text = read_all(&data);
    int fd = connect_to(atoi(given[2]));
    double start = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    if (strcmp(given[1], "up") == 0)
        upload(fd, given[3], given[4], atol(given[6]), count > 7 ? atol(given[7]) : 1, count > 8 ? atof(given[8]) : 0, text, data);
    else
        download(fd, given[3], given[4], atol(given[5]), atol(given[6]), text, data);
    printf("{\"seconds\": %.6f, \"cpu\": %.6f}\n", now(CLOCK_MONOTONIC) - start, now(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    return 0;
}
