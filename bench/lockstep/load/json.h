/* Finds things in JSON that is known to be valid, without building anything.
 *
 * A `struct text` is a piece of a buffer that somebody else owns.
 * All functions answer a piece with `at == NULL` where there is nothing.
 */
#ifndef JSON_H
#define JSON_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
    const char *at;
    size_t size;
};

static inline const char *json_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

static inline const char *json_string_end(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++)
        if (*p == '\\')
            p++;
    return p < end ? p + 1 : end;
}

/* The end of the value that begins at p. */
static inline const char *json_value_end(const char *p, const char *end)
{
    if (p < end && *p == '"')
        return json_string_end(p, end);
    int depth = 0;
    while (p < end) {
        if (*p == '"') {
            p = json_string_end(p, end);
            continue;
        }
        if (*p == '{' || *p == '[')
            depth++;
        else if (*p == '}' || *p == ']') {
            if (depth == 0)
                return p;
            if (--depth == 0)
                return p + 1;
        } else if (*p == ',' && depth == 0)
            return p;
        p++;
    }
    return end;
}

/* Steps through an object: gives the next key (without quotes) and value, and moves *cursor behind them.
 * Begin with *cursor at the object's opening brace. */
static inline int json_next_member(const char **cursor, const char *end, struct text *key, struct text *value)
{
    const char *p = json_space(*cursor, end);
    if (p < end && (*p == '{' || *p == ','))
        p = json_space(p + 1, end);
    if (p >= end || *p != '"')
        return 0;
    const char *after = json_string_end(p, end);
    *key = (struct text){p + 1, (size_t)(after - p) - 2};
    p = json_space(after, end);
    if (p >= end || *p != ':')
        return 0;
    p = json_space(p + 1, end);
    after = json_value_end(p, end);
    *value = (struct text){p, (size_t)(after - p)};
    *cursor = after;
    return 1;
}

static inline struct text json_field(struct text object, const char *name)
{
    const char *cursor = object.at, *end = object.at ? object.at + object.size : NULL;
    size_t size = strlen(name);
    struct text key, value;
    while (object.at && json_next_member(&cursor, end, &key, &value))
        if (key.size == size && memcmp(key.at, name, size) == 0)
            return value;
    return (struct text){NULL, 0};
}

static inline int json_is(struct text value, const char *string)
{
    size_t size = strlen(string);
    return value.at && value.size == size + 2 && value.at[0] == '"' && memcmp(value.at + 1, string, size) == 0;
}

/* A non-negative integer, or -1. */
static inline int64_t json_integer(struct text value)
{
    int64_t number = 0;
    if (!value.at || value.size == 0 || value.size > 18)
        return -1;
    for (size_t i = 0; i < value.size; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return -1;
        number = number * 10 + (value.at[i] - '0');
    }
    return number;
}

#endif
