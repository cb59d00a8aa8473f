/* The packets of a lock-step room (docs/protocol/lockstep.md), and what this load puts into them.
 *
 * Each command names its seat and generation, so that a master can be checked to the last byte.
 */
#ifndef PACKETS_H
#define PACKETS_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

enum { COMMAND_MIN = 12, COMMAND_MAX = 1024, PACKET_MAX = COMMAND_MAX + 256, PACKET_HEAD = 22 };

static inline uint8_t *put(uint8_t *out, uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        *out++ = (uint8_t)(value >> (8 * i));
    return out;
}

static inline uint64_t get(const uint8_t *in, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | in[i];
    return value;
}

/* The hash that every client of ours has after a generation (splitmix64). */
static inline uint64_t state_hash(uint32_t generation)
{
    uint64_t x = generation + 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* 4 hex digits of seat, 8 of generation, then padding. */
static inline const char *command_of(unsigned seat, uint32_t generation)
{
    static const char digits[] = "0123456789abcdef";
    static char command[COMMAND_MAX];
    if (command[COMMAND_MIN] != '.')
        memset(command, '.', sizeof command);
    for (int i = 0; i < 4; i++)
        command[i] = digits[seat >> (12 - 4 * i) & 15];
    for (int i = 0; i < 8; i++)
        command[4 + i] = digits[generation >> (28 - 4 * i) & 15];
    return command;
}

/* Writes the packet of one seat for one generation, with the hash of `applied` where that is not negative. */
static inline size_t packet_build(uint8_t *out, int binary, unsigned seat, uint32_t generation, int64_t applied, size_t size)
{
    const char *command = command_of(seat, generation);
    uint64_t hash = applied < 0 ? 0 : state_hash((uint32_t)applied);
    if (!binary) {
        char report[96] = "";
        if (applied >= 0)
            snprintf(report, sizeof report, "\"checksum\":{\"generation\":%lld,\"value\":\"%016llx\"},", (long long)applied, (unsigned long long)hash);
        return (size_t)snprintf((char *)out, PACKET_MAX,
            "{\"type\":\"commands\",\"generation\":%u,\"latency\":20,\"framerate\":60,%s\"commands\":[\"%.*s\"]}", generation, report, (int)size, command);
    }
    uint8_t *p = out;
    *p++ = 1;
    *p++ = applied >= 0;
    p = put(p, generation, 4);
    p = put(p, 20, 2);
    p = put(p, 60, 2);
    p = put(p, applied < 0 ? 0 : (uint64_t)applied, 4);
    p = put(p, hash, 8);
    memcpy(p, command, size);
    return PACKET_HEAD + size;
}

/* Why a master is not exactly the one of this generation with the command of each seat, or NULL where it is. */
static inline const char *master_fault_binary(const uint8_t *data, size_t have, uint32_t generation, unsigned players, size_t size)
{
    if (have != PACKET_HEAD + players * (4 + size) || data[0] != 2)
        return "a master of another size";
    if (get(data + 2, 4) != generation)
        return "a master of another generation";
    if (data[1] & 1 && get(data + 12, 8) != state_hash((uint32_t)get(data + 8, 4)))
        return "a master with a hash that nobody reported";
    if (get(data + 20, 2) != players)
        return "a master without every seat";
    const uint8_t *p = data + PACKET_HEAD;
    for (unsigned seat = 0; seat < players; seat++, p += 4 + size)
        if (get(p, 2) != seat || get(p + 2, 2) != size || memcmp(p + 4, command_of(seat, generation), size) != 0)
            return "a master whose commands are not those that were sent";
    return NULL;
}

static inline const char *master_fault_json(struct text master, uint32_t generation, unsigned players, size_t size)
{
    if (json_integer(json_field(master, "generation")) != generation)
        return "a master of another generation";
    struct text checksum = json_field(master, "checksum"), key, value;
    if (checksum.at) {
        char hash[17];
        snprintf(hash, sizeof hash, "%016llx", (unsigned long long)state_hash((uint32_t)json_integer(json_field(checksum, "generation"))));
        if (!json_is(json_field(checksum, "value"), hash))
            return "a master with a hash that nobody reported";
    }
    struct text commands = json_field(master, "commands");
    const char *cursor = commands.at, *end = commands.at ? commands.at + commands.size : NULL;
    unsigned seat = 0;
    for (; commands.at && json_next_member(&cursor, end, &key, &value); seat++) {
        if (json_integer(key) != seat)
            return "a master with seats out of order";
        if (value.size != size + 4 || memcmp(value.at, "[\"", 2) != 0 || memcmp(value.at + 2, command_of(seat, generation), size) != 0)
            return "a master whose commands are not those that were sent";
    }
    return seat == players ? NULL : "a master without every seat";
}

#endif
