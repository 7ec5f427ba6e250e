/* data.h - the readings that every figure counting bytes is measured with. Pure; the same seed gives the same data.
 *
 * A plant of 1000 tags, read in one sweep a second: eight requests of 125 registers each, the tags of one request share
 * their time, which comes 0 to 3 ms after the second. One reading in 200 is not good: half of those uncertain, half
 * without a value. Tags stand around levels between 10 and 1000, evenly in the logarithm. */
#ifndef FB_BENCH_DATA_H
#define FB_BENCH_DATA_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/common/reading.h"

#define DATA_TAGS_MAX 1000
#define DATA_REQUEST_TAGS 125
#define DATA_START_MS INT64_C(1795293190000)

enum data_set {
    DATA_QUIET,   /* steps of 0.01, a random walk with steps of sigma 0.01 */
    DATA_NOISY,   /* steps of 0.01, a slow daily curve and white noise of sigma 0.1 */
    DATA_FLOAT32, /* the noisy curve unrounded, as single precision */
    DATA_SETS
};

struct data {
    enum data_set set;
    size_t tags; /* 1..DATA_TAGS_MAX */
    uint64_t random;
    uint64_t sweeps; /* made so far */
    double levels[DATA_TAGS_MAX];
    double walk[DATA_TAGS_MAX]; /* in steps of 0.01 */
};

/* "quiet", "noisy", "float32". Static storage. */
const char *data_word(enum data_set set);

void data_init(struct data *data, enum data_set set, size_t tags, uint64_t seed);

/* The next sweep: one reading of each tag into ret_readings (data->tags of room). */
void data_sweep(struct data *data, struct reading *ret_readings);

/* The least bytes a reading's value can take on average, by the entropy of the distribution it is drawn from: noise of
 * sigma s, rounded to whole steps, has log2(sqrt(2 pi e (s^2 + 1/12))) bits, s in steps (1/12: what rounding adds).
 * Times and qualities (about 0.01 bytes) are left out. */
double data_entropy_bytes(const struct data *data);

#endif
