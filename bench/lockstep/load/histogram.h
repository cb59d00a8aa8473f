/* A histogram of durations with 1.6 % resolution: 64 buckets to each power of two of nanoseconds. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>
#include <string.h>

enum { HISTOGRAM_FINE = 6, HISTOGRAM_BUCKETS = (64 - HISTOGRAM_FINE + 1) << HISTOGRAM_FINE };

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t total;
};

static inline unsigned histogram_bucket(uint64_t value)
{
    if (value < (1u << HISTOGRAM_FINE))
        return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_FINE;
    return ((shift + 1) << HISTOGRAM_FINE) + (unsigned)((value >> shift) & ((1u << HISTOGRAM_FINE) - 1));
}

static inline void histogram_add(struct histogram *h, uint64_t value)
{
    h->counts[histogram_bucket(value)]++;
    h->total++;
}

static inline void histogram_clear(struct histogram *h)
{
    memset(h, 0, sizeof *h);
}

/* The lower edge of the bucket that holds the q-th part of all values, 0 for an empty histogram. */
static inline uint64_t histogram_quantile(const struct histogram *h, double q)
{
    uint64_t rank = (uint64_t)(q * (double)h->total), seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->counts[i];
        if (seen > rank) {
            unsigned shift = i >> HISTOGRAM_FINE, low = i & ((1u << HISTOGRAM_FINE) - 1);
            return shift ? (uint64_t)(low | (1u << HISTOGRAM_FINE)) << (shift - 1) : low;
        }
    }
    return 0;
}

#endif
