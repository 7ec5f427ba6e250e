#include "power_log.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fault_vfs.h"

#define SECTOR_BYTES 512
#define PATH_BYTES 512
#define ENDING_BYTES 32
#define FILE_BYTES_MAX (16 * 1024 * 1024)
#define NAMES_MAX 16
#define NONE SIZE_MAX

enum kind { KIND_WRITE, KIND_TRUNCATE, KIND_SYNC, KIND_NAMED, KIND_FOLDER_SYNC };

/* A file keeps its number whatever its name. */
struct moment {
    enum kind kind;
    size_t file;
    int64_t offset; /* of a write; the size of a truncation */
    size_t length;
    uint8_t *bytes;    /* of a write; malloc */
    size_t name, gone; /* of KIND_NAMED: the file has this name now, that one is nobody's any more; or NONE */
};

struct image {
    uint8_t *bytes; /* FILE_BYTES_MAX */
    size_t length;
};

struct names {
    size_t file[NAMES_MAX]; /* or NONE; by name */
};

static char watched[PATH_BYTES];                             /* "": nothing */
static char endings[NAMES_MAX][ENDING_BYTES] = {"", "-wal"}; /* of names, name_count of them */
static size_t name_count;
static struct names begun_names, names;
static size_t begun_count, file_count;
static struct image begun[2];
static struct moment *moments;
static size_t moment_count, moment_room;

static void *must(void *memory) {
    if (memory == NULL)
        abort();
    return memory;
}

/* NONE for files that are not watched. */
static size_t name_of(const char *path) {
    const size_t length = strlen(watched);
    if (length == 0 || strncmp(path, watched, length) != 0)
        return NONE;
    for (size_t i = 0; i < name_count; i++)
        if (strcmp(endings[i], path + length) == 0)
            return i;
    if (name_count == NAMES_MAX || strlen(path + length) >= ENDING_BYTES)
        abort();
    memcpy(endings[name_count], path + length, strlen(path + length) + 1);
    names.file[name_count] = begun_names.file[name_count] = NONE;
    return name_count++;
}

static void add(struct moment moment) {
    if (moment_count == moment_room) {
        moment_room = moment_room > 0 ? 2 * moment_room : 1024;
        moments = must(realloc(moments, moment_room * sizeof *moments));
    }
    moments[moment_count++] = moment;
}

static void apply_names(struct names *to, const struct moment *moment) {
    if (moment->gone != NONE)
        to->file[moment->gone] = NONE;
    if (moment->name != NONE)
        to->file[moment->name] = moment->file;
}

static void add_named(size_t file, size_t name, size_t gone) {
    const struct moment moment = {.kind = KIND_NAMED, .file = file, .name = name, .gone = gone};
    add(moment);
    apply_names(&names, &moment);
}

/* The file of that name, which is new when it is written to for the first time. */
static size_t file_of(size_t name) {
    if (names.file[name] == NONE)
        add_named(file_count++, name, NONE);
    return names.file[name];
}

static void on_write(const char *path, const void *bytes, size_t length, int64_t offset, void *user) {
    const size_t name = name_of(path);
    (void)user;
    if (name != NONE)
        add((struct moment){.kind = KIND_WRITE,
                            .file = file_of(name),
                            .offset = offset,
                            .length = length,
                            .bytes = memcpy(must(malloc(length)), bytes, length)});
}

static void on_truncate(const char *path, int64_t size, void *user) {
    const size_t name = name_of(path);
    (void)user;
    if (name != NONE)
        add((struct moment){.kind = KIND_TRUNCATE, .file = file_of(name), .offset = size});
}

static void on_sync(const char *path, void *user) {
    const size_t name = name_of(path);
    (void)user;
    if (name != NONE)
        add((struct moment){.kind = KIND_SYNC, .file = file_of(name)});
}

int rename(const char *from, const char *to) {
    const int result = renameat(AT_FDCWD, from, AT_FDCWD, to);
    const size_t name = name_of(from);
    if (result == 0 && name != NONE)
        add_named(file_of(name), name_of(to), name);
    return result;
}

int link(const char *from, const char *to) {
    const int result = linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
    const size_t name = name_of(from);
    if (result == 0 && name != NONE)
        add_named(file_of(name), name_of(to), NONE);
    return result;
}

int unlink(const char *path) {
    const int result = unlinkat(AT_FDCWD, path, 0);
    const size_t name = name_of(path);
    if (result == 0 && name != NONE)
        add_named(NONE, NONE, name);
    return result;
}

int truncate(const char *path, off_t size) {
    const int result = (int)syscall(SYS_truncate, path, size);
    if (result == 0)
        on_truncate(path, size, NULL);
    return result;
}

/* Those of files come by fault_vfs. */
static int sync_and_note(int descriptor, long number) {
    struct stat status;
    const int result = (int)syscall(number, descriptor);
    if (result == 0 && watched[0] != '\0' && fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode))
        add((struct moment){.kind = KIND_FOLDER_SYNC, .file = NONE});
    return result;
}

int fsync(int descriptor) {
    return sync_and_note(descriptor, SYS_fsync);
}

int fdatasync(int descriptor) {
    return sync_and_note(descriptor, SYS_fdatasync);
}

/* False when there is no such file. */
static bool load(const char *path, const char *ending, struct image *ret_image) {
    char name[PATH_BYTES];
    snprintf(name, sizeof name, "%s%s", path, ending);
    *ret_image = (struct image){.bytes = must(calloc(1, FILE_BYTES_MAX))};
    FILE *stream = fopen(name, "re");
    if (stream == NULL)
        return false;
    ret_image->length = fread(ret_image->bytes, 1, FILE_BYTES_MAX, stream);
    fclose(stream);
    return true;
}

static void save(const char *path, const struct image *image) {
    FILE *stream = must(fopen(path, "we"));
    if (fwrite(image->bytes, 1, image->length, stream) != image->length || fclose(stream) != 0)
        abort();
}

void power_log_start(const char *path) {
    static const struct fault_observer observer = {.write = on_write, .truncate = on_truncate, .sync = on_sync};
    name_count = begun_count = sizeof begun / sizeof begun[0];
    for (size_t file = 0; file < begun_count; file++)
        names.file[file] = load(path, endings[file], &begun[file]) ? file : NONE;
    begun_names = names;
    file_count = begun_count;
    snprintf(watched, sizeof watched, "%s", path);
    fault_vfs_observe(&observer);
}

void power_log_stop(void) {
    fault_vfs_observe(NULL);
    watched[0] = '\0';
    for (size_t i = 0; i < moment_count; i++)
        free(moments[i].bytes);
    free(moments);
    for (size_t file = 0; file < begun_count; file++)
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

/* Which file has which name: of those that no fsync of the folder has covered, some first ones. */
static struct names cut_names(size_t moment, unsigned *random) {
    struct names cut = begun_names;
    size_t safe = 0, waiting = 0;
    for (size_t i = 0; i < moment; i++)
        if (moments[i].kind == KIND_FOLDER_SYNC)
            safe = i;
    for (size_t i = safe; i < moment; i++)
        waiting += moments[i].kind == KIND_NAMED;
    waiting = (size_t)rand_r(random) % (waiting + 1);
    for (size_t i = 0; i < moment && (i < safe || waiting > 0); i++) {
        if (moments[i].kind != KIND_NAMED)
            continue;
        apply_names(&cut, &moments[i]);
        waiting -= i >= safe;
    }
    return cut;
}

static struct image cut_file(size_t file, size_t moment, unsigned random) {
    struct image image = {.bytes = must(calloc(1, FILE_BYTES_MAX))};
    size_t safe = 0;
    if (file < begun_count)
        image.length = begun[file].length;
    if (image.length > 0)
        memcpy(image.bytes, begun[file].bytes, image.length);
    for (size_t i = 0; i < moment; i++)
        if (moments[i].file == file && moments[i].kind == KIND_SYNC)
            safe = i;
    for (size_t i = 0; i < moment; i++) {
        if (moments[i].file != file || moments[i].kind > KIND_TRUNCATE)
            continue;
        if (i < safe)
            apply(&image, &moments[i], moments[i].length);
        else
            apply_perhaps(&image, &moments[i], &random);
    }
    return image;
}

/* A file that has two names is the same under both. */
void power_log_cut(size_t moment, unsigned random, const char *path) {
    char name[PATH_BYTES];
    const struct names cut = cut_names(moment, &random);
    for (size_t i = 0; i < name_count; i++) {
        snprintf(name, sizeof name, "%s%s", path, endings[i]);
        unlink(name);
        if (cut.file[i] == NONE)
            continue;
        struct image image = cut_file(cut.file[i], moment, random + (unsigned)cut.file[i]);
        save(name, &image);
        free(image.bytes);
    }
}
