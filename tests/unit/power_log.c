#include "power_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault_vfs.h"

#define FILES 2
#define SECTOR_BYTES 512
#define PATH_BYTES 512
#define FILE_BYTES_MAX (16 * 1024 * 1024)

enum kind { KIND_WRITE, KIND_TRUNCATE, KIND_SYNC };

struct moment {
    enum kind kind;
    size_t file;
    int64_t offset; /* of a write; the size of a truncation */
    size_t length;
    uint8_t *bytes; /* of a write; malloc */
};

struct image {
    uint8_t *bytes; /* FILE_BYTES_MAX */
    size_t length;
};

static const char *const endings[FILES] = {"", "-wal"};
static const char *watched;
static struct image begun[FILES];
static struct moment *moments;
static size_t moment_count, moment_room;

static void *must(void *memory) {
    if (memory == NULL)
        abort();
    return memory;
}

static void name_of(const char *path, size_t file, char ret_name[static PATH_BYTES]) {
    snprintf(ret_name, PATH_BYTES, "%s%s", path, endings[file]);
}

/* FILES for any other. */
static size_t file_of(const char *path) {
    char name[PATH_BYTES];
    for (size_t file = 0; file < FILES; file++) {
        name_of(watched, file, name);
        if (strcmp(name, path) == 0)
            return file;
    }
    return FILES;
}

static void add(const char *path, struct moment moment, const void *bytes) {
    moment.file = file_of(path);
    if (moment.file == FILES)
        return;
    if (moment_count == moment_room) {
        moment_room = moment_room > 0 ? 2 * moment_room : 1024;
        moments = must(realloc(moments, moment_room * sizeof *moments));
    }
    if (bytes != NULL)
        moment.bytes = memcpy(must(malloc(moment.length)), bytes, moment.length);
    moments[moment_count++] = moment;
}

static void on_write(const char *path, const void *bytes, size_t length, int64_t offset, void *user) {
    (void)user;
    add(path, (struct moment){.kind = KIND_WRITE, .offset = offset, .length = length}, bytes);
}

static void on_truncate(const char *path, int64_t size, void *user) {
    (void)user;
    add(path, (struct moment){.kind = KIND_TRUNCATE, .offset = size}, NULL);
}

static void on_sync(const char *path, void *user) {
    (void)user;
    add(path, (struct moment){.kind = KIND_SYNC}, NULL);
}

static struct image load(const char *path, size_t file) {
    struct image image = {.bytes = must(calloc(1, FILE_BYTES_MAX))};
    char name[PATH_BYTES];
    name_of(path, file, name);
    FILE *stream = fopen(name, "re");
    if (stream == NULL)
        return image;
    image.length = fread(image.bytes, 1, FILE_BYTES_MAX, stream);
    fclose(stream);
    return image;
}

static void save(const char *path, size_t file, const struct image *image) {
    char name[PATH_BYTES];
    name_of(path, file, name);
    FILE *stream = must(fopen(name, "we"));
    if (fwrite(image->bytes, 1, image->length, stream) != image->length || fclose(stream) != 0)
        abort();
}

void power_log_start(const char *path) {
    static const struct fault_observer observer = {.write = on_write, .truncate = on_truncate, .sync = on_sync};
    watched = path;
    for (size_t file = 0; file < FILES; file++)
        begun[file] = load(path, file);
    fault_vfs_observe(&observer);
}

void power_log_stop(void) {
    fault_vfs_observe(NULL);
    for (size_t i = 0; i < moment_count; i++)
        free(moments[i].bytes);
    free(moments);
    for (size_t file = 0; file < FILES; file++)
        free(begun[file].bytes);
    moments = NULL;
    moment_count = moment_room = 0;
}

size_t power_log_moments(void) {
    return moment_count;
}

/* The first length bytes of a write, or a truncation. */
static void apply(struct image *image, const struct moment *moment, size_t length) {
    const size_t end = (size_t)moment->offset + (moment->kind == KIND_WRITE ? length : 0);
    if (end > FILE_BYTES_MAX)
        abort();
    if (moment->kind == KIND_WRITE)
        memcpy(image->bytes + moment->offset, moment->bytes, length);
    else if (end < image->length)
        memset(image->bytes + end, 0, image->length - end);
    if (end > image->length || moment->kind == KIND_TRUNCATE)
        image->length = end;
}

/* Of what no fsync has covered: a third is there, a third is not, a third up to some sector. */
static void apply_perhaps(struct image *image, const struct moment *moment, unsigned *random) {
    const int luck = rand_r(random) % 3;
    if (luck == 0)
        return;
    size_t length = moment->length;
    if (luck == 1)
        length = (size_t)rand_r(random) % (length + 1) / SECTOR_BYTES * SECTOR_BYTES;
    if (length > 0 || moment->kind == KIND_TRUNCATE)
        apply(image, moment, length);
}

void power_log_cut(size_t moment, unsigned random, const char *path) {
    for (size_t file = 0; file < FILES; file++) {
        struct image image = {.bytes = must(malloc(FILE_BYTES_MAX)), .length = begun[file].length};
        memcpy(image.bytes, begun[file].bytes, FILE_BYTES_MAX);
        size_t safe = 0;
        for (size_t i = 0; i < moment; i++)
            if (moments[i].file == file && moments[i].kind == KIND_SYNC)
                safe = i;
        for (size_t i = 0; i < moment; i++) {
            if (moments[i].file != file || moments[i].kind == KIND_SYNC)
                continue;
            if (i < safe)
                apply(&image, &moments[i], moments[i].length);
            else
                apply_perhaps(&image, &moments[i], &random);
        }
        save(path, file, &image);
        free(image.bytes);
    }
}
