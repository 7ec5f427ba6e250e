#include "data.h"

#include <math.h>

#include "gateway/common/quality.h"

#define STEP 0.01
#define NOISE_STEPS 10
#define DAY_SWEEPS 86400
#define DAILY_STEPS 200
#define NOT_GOOD_EACH 200
#define JITTER_MS 4 /* 0, 1, 2, 3 */

const char *data_word(enum data_set set) {
    static const char *const words[DATA_SETS] = {"quiet", "noisy", "float32"};
    return words[set];
}

/* SplitMix64, Steele, Lea and Flood 2014. */
static uint64_t next_random(struct data *data) {
    uint64_t mixed = data->random += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

/* Even in (0, 1]. */
static double next_even(struct data *data) {
    return (double)((next_random(data) >> 11) + 1) * 0x1p-53;
}

/* Normal with sigma 1, by Box and Muller. */
static double next_normal(struct data *data) {
    const double radius = sqrt(-2 * log(next_even(data)));
    return radius * cos(2 * M_PI * next_even(data));
}

void data_init(struct data *data, enum data_set set, size_t tags, uint64_t seed) {
    *data = (struct data){.set = set, .tags = tags, .random = seed};
    for (size_t i = 0; i < tags; i++)
        data->levels[i] = pow(10, 1 + 2 * next_even(data));
}

/* Above the tag's level, in steps. */
static double next_steps(struct data *data, size_t tag) {
    if (data->set == DATA_QUIET)
        return data->walk[tag] += round(next_normal(data));
    const double phase = 2 * M_PI * ((double)data->sweeps / DAY_SWEEPS + (double)tag / (double)data->tags);
    return DAILY_STEPS * sin(phase) + NOISE_STEPS * next_normal(data);
}

static struct reading next_reading(struct data *data, size_t tag, int64_t time_ms) {
    const uint32_t number = (uint32_t)tag + 1;
    const double steps = data->levels[tag] / STEP + next_steps(data, tag);
    const uint64_t luck = next_random(data) % (2 * NOT_GOOD_EACH);
    const enum reading_kind kind = data->set == DATA_FLOAT32 ? READING_REAL32 : READING_REAL64;
    if (luck == 0)
        return reading_bad(number, kind, time_ms, QUALITY_TIMEOUT, 0);
    const uint8_t quality = luck == 1 ? QUALITY_ABOVE_RANGE : QUALITY_GOOD;
    if (kind == READING_REAL32)
        return reading_real32(number, time_ms, quality, (float)(steps * STEP));
    return reading_real64(number, time_ms, quality, round(steps) / 100);
}

void data_sweep(struct data *data, struct reading *ret_readings) {
    const int64_t second_ms = DATA_START_MS + (int64_t)data->sweeps * 1000;
    int64_t time_ms = second_ms;
    for (size_t tag = 0; tag < data->tags; tag++) {
        if (tag % DATA_REQUEST_TAGS == 0)
            time_ms = second_ms + (int64_t)(next_random(data) % JITTER_MS);
        ret_readings[tag] = next_reading(data, tag, time_ms);
    }
    data->sweeps++;
}

/* sigma: in steps, 1 or more */
static double bits_of_noise(double sigma) {
    return log2(2 * M_PI * M_E * (sigma * sigma + 1.0 / 12)) / 2;
}

double data_entropy_bytes(const struct data *data) {
    if (data->set == DATA_QUIET)
        return bits_of_noise(1) / 8;
    if (data->set == DATA_NOISY)
        return bits_of_noise(NOISE_STEPS) / 8;
    double bits = 0;
    for (size_t i = 0; i < data->tags; i++) {
        const float level = (float)data->levels[i];
        bits += bits_of_noise(NOISE_STEPS * STEP / (double)(nextafterf(level, INFINITY) - level));
    }
    return bits / (double)data->tags / 8;
}
