/* export.c - `forebay export`: the readings of the running gateway's store as lines. The gateway only hands out its
 * batches; taking them apart and writing lines is done here, so that an export of any size never keeps it from its
 * work. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/cli/command.h"
#include "gateway/cli/moment.h"
#include "gateway/cli/options.h"
#include "gateway/cli/stored.h"
#include "gateway/common/clock.h"
#include "gateway/common/file.h"
#include "gateway/receive/lines.h"
#include "gateway/receive/names.h"

#define TAGS_MAX 256
#define OUTPUT_BUFFER_BYTES ((size_t)256 * 1024)
#define PROGRESS_MS 200

static const char help[] = "Usage: forebay export [-c FILE | --run FOLDER] [--from TIME] [--to TIME]\n"
                           "                      [--tags NAME,...] [--format csv|ndjson] [-o FILE]\n"
                           "       forebay export --parked [-c FILE | --run FOLDER] [--format csv|ndjson] [-o FILE]\n"
                           "       forebay export --parked --format raw -o FOLDER [-c FILE | --run FOLDER]\n"
                           "\n"
                           "Writes what the running gateway's store holds, a line each reading, oldest batches first.\n"
                           "\n"
                           "  --from TIME        the first moment; default: the oldest reading\n"
                           "  --to TIME          the moment to end before; default: now\n"
                           "  --tags NAME,...    only these: INSTRUMENT or INSTRUMENT/TAG\n"
                           "  --parked           only the batches that the peer will not take, see forebay parked\n"
                           "  --format WORD      ndjson (the default) or csv; raw: each parked batch as it is, into\n"
                           "                     FOLDER/NUMBER.fbb\n"
                           "  -o, --output FILE  where to write; default: standard output\n"
                           "  -c, --config FILE  the gateway's configuration (default " COMMAND_CONFIG_DEFAULT ")\n"
                           "  --run FOLDER       its run folder, when the configuration file cannot be read\n"
                           "  --help             show this\n"
                           "\n"
                           "TIME is 2026-11-21, 2026-11-21T10:00 or 2026-11-21T10:00:30, in UTC, or now, or so long\n"
                           "ago: 30s, 15m, 24h, 7d.\n";

struct wanted {
    char instrument[PLANT_NAME_MAX];
    char tag[PLANT_NAME_MAX]; /* "": all of the instrument */
    bool found;
};

struct export {
    const char *config_file, *run, *output;
    enum lines_format format;
    bool parked; /* only these */
    bool raw;    /* as they are stored, one file each, in the folder output */
    int64_t from_ms, to_ms;
    struct wanted wanted[TAGS_MAX];
    size_t wanted_count;
    FILE *to;
    struct stored stored;
    struct batch_walk walk;
    struct catalogue catalogue; /* the one used last */
    uint8_t catalogue_hash[BATCH_HASH_BYTES];
    bool has_catalogue;
    uint64_t readings, unreadable;
    int64_t begin_ms; /* of what the last round exports, for the progress; 0: not there yet */
    int64_t shown_ms; /* monotonic: when the progress was shown last */
};

static bool split_name(const char *name, size_t length, struct wanted *ret_wanted) {
    const char *slash = memchr(name, '/', length);
    const size_t instrument = slash != NULL ? (size_t)(slash - name) : length;
    const size_t tag = slash != NULL ? length - instrument - 1 : 0;
    *ret_wanted = (struct wanted){.found = false};
    if (instrument == 0 || instrument >= PLANT_NAME_MAX || tag >= PLANT_NAME_MAX || (slash != NULL && tag == 0))
        return false;
    memcpy(ret_wanted->instrument, name, instrument);
    if (slash != NULL)
        memcpy(ret_wanted->tag, slash + 1, tag);
    return plant_name_valid(ret_wanted->instrument) && (slash == NULL || plant_name_valid(ret_wanted->tag));
}

static enum fb_error take_tags(struct export *export, const char *list, struct fb_cause *cause) {
    for (const char *name = list; *name != '\0';) {
        const size_t length = strcspn(name, ",");
        if (export->wanted_count == TAGS_MAX)
            return fb_fail(cause, FB_LIMIT, "--tags: more than %d names", TAGS_MAX);
        if (!split_name(name, length, &export->wanted[export->wanted_count++]))
            return fb_fail(cause, FB_INVALID, "--tags %s: names are INSTRUMENT or INSTRUMENT/TAG, with commas between",
                           list);
        name += length;
        name += *name == ',';
    }
    return FB_OK;
}

static enum fb_error take_format(struct export *export, const char *word, struct fb_cause *cause) {
    const int format = lines_format_from_word(word);
    export->raw = strcmp(word, "raw") == 0;
    if (format < 0 && !export->raw)
        return fb_fail(cause, FB_INVALID, "--format %s: it is ndjson or csv, or raw with --parked", word);
    if (format >= 0)
        export->format = (enum lines_format)format;
    return FB_OK;
}

static enum fb_error take_option(struct export *export, int letter, struct fb_cause *cause) {
    switch (letter) {
    case 'f':
        return moment_option("--from", optarg, clock_utc_ms(), &export->from_ms, cause);
    case 't':
        return moment_option("--to", optarg, clock_utc_ms(), &export->to_ms, cause);
    case 'g':
        return take_tags(export, optarg, cause);
    case 'F':
        return take_format(export, optarg, cause);
    case 'o':
        export->output = strcmp(optarg, "-") != 0 ? optarg : NULL;
        return FB_OK;
    case 'p':
        export->parked = true;
        return FB_OK;
    case 'r':
        export->run = optarg;
        return FB_OK;
    case 'c':
        export->config_file = optarg;
        return FB_OK;
    default:
        return fb_fail(cause, FB_INVALID, "%s: see forebay export --help", optarg != NULL ? optarg : "wrong option");
    }
}

/* ret_help: it was asked for. */
static enum fb_error parse(int argc, char **argv, struct export *export, bool *ret_help, struct fb_cause *cause) {
    static const struct option options[] = {
        {"from", required_argument, NULL, 'f'},   {"to", required_argument, NULL, 't'},
        {"tags", required_argument, NULL, 'g'},   {"format", required_argument, NULL, 'F'},
        {"output", required_argument, NULL, 'o'}, {"parked", no_argument, NULL, 'p'},
        {"run", required_argument, NULL, 'r'},    {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},         {0}};
    int letter;
    while ((letter = getopt_long(argc, argv, "c:o:h", options, NULL)) != -1) {
        *ret_help = letter == 'h';
        const enum fb_error error = *ret_help ? FB_OK : take_option(export, letter, cause);
        if (error != FB_OK || *ret_help)
            return error;
    }
    if (optind != argc)
        return fb_fail(cause, FB_INVALID, "%s: not expected; see forebay export --help", argv[optind]);
    if (export->raw && (!export->parked || export->output == NULL))
        return fb_fail(cause, FB_INVALID, "--format raw: only with --parked and -o FOLDER");
    if (export->from_ms >= export->to_ms)
        return fb_fail(cause, FB_INVALID, "--from must lie before --to");
    return FB_OK;
}

static bool is_wanted(struct export *export, const struct catalogue_tag *names) {
    bool found = export->wanted_count == 0;
    for (size_t i = 0; names != NULL && i < export->wanted_count; i++) {
        struct wanted *wanted = &export->wanted[i];
        if (strcmp(wanted->instrument, names->instrument) != 0 ||
            (wanted->tag[0] != '\0' && strcmp(wanted->tag, names->name) != 0))
            continue;
        wanted->found = found = true;
    }
    return found;
}

/* Without its catalogue a batch's lines have no names. */
static enum fb_error follow_catalogue(struct export *export, const struct batch_info *info, struct fb_cause *cause) {
    if (export->has_catalogue && memcmp(export->catalogue_hash, info->catalogue, sizeof info->catalogue) == 0)
        return FB_OK;
    catalogue_done(&export->catalogue);
    const enum fb_error error = stored_catalogue(&export->stored, info->catalogue, &export->catalogue, cause);
    export->has_catalogue = error == FB_OK;
    memcpy(export->catalogue_hash, info->catalogue, sizeof info->catalogue);
    return error == FB_CLOSED || error == FB_TIMEOUT || error == FB_MEMORY ? error : FB_OK;
}

static void write_lines(struct export *export, const struct batch_info *info, const struct reading *readings,
                        size_t units) {
    char line[LINES_BYTES_MAX];
    struct lines_tag tag;
    uint32_t last = 0; /* no tag has this number */
    bool wanted = false;
    for (size_t i = 0; i < units; i += reading_units(&readings[i])) {
        if (readings[i].tag != last) {
            last = readings[i].tag;
            const struct catalogue_tag *names =
                names_tag(export->has_catalogue ? &export->catalogue : NULL, readings[i].tag);
            wanted = is_wanted(export, names);
            lines_begin_tag(export->format, info, readings[i].tag, names, &tag);
        }
        if (!wanted || readings[i].time_ms < export->from_ms || readings[i].time_ms >= export->to_ms)
            continue;
        fwrite_unlocked(line, 1, lines_reading(&tag, &readings[i], line), export->to);
        export->readings++;
    }
}

/* A line on the terminal that is written over and over. */
static void show_progress(struct export *export, bool done) {
    const int64_t now_ms = clock_monotonic_ms();
    if (!isatty(STDERR_FILENO) || (!done && now_ms - export->shown_ms < PROGRESS_MS))
        return;
    export->shown_ms = now_ms;
    const double all = (double)(export->to_ms - export->begin_ms),
                 there = (double)(export->stored.last_ms - export->begin_ms);
    const double share = export->begin_ms == 0 ? 0 : all <= 0 ? 1 : there / all;
    const double percent = done || share > 1 ? 100 : share < 0 ? 0 : 100 * share;
    fprintf(stderr, "\r%" PRIu64 " readings, %.0f %%%s", export->readings, percent, done ? "\n" : "");
}

static enum fb_error write_batch(struct export *export, struct fb_cause *cause) {
    struct batch_info info;
    struct reading *readings = NULL;
    size_t units;
    enum fb_error error = batch_decode(export->stored.bytes, export->stored.length, &info, &readings, &units, cause);
    if (error != FB_OK)
        return error;
    error = follow_catalogue(export, &info, cause);
    if (error == FB_OK)
        write_lines(export, &info, readings, batch_walk_pick(&export->walk, &info, readings, units));
    free(readings);
    if (error == FB_OK && ferror_unlocked(export->to))
        error = fb_fail_errno(cause, FB_IO, errno, "writing");
    return error;
}

/* FB_NOT_FOUND: that was all of it. */
static enum fb_error write_round(struct export *export, struct fb_cause *cause) {
    const struct batch_walk *walk = &export->walk;
    struct stored *stored = &export->stored;
    enum fb_error error;
    while ((error = stored_next_in_time(stored, walk->stands_from_ms, walk->stands_to_ms, cause)) == FB_OK) {
        if (export->begin_ms == 0 && walk->round == walk->correction_count)
            export->begin_ms = stored->first_ms > export->from_ms ? stored->first_ms : export->from_ms;
        if (stored->readable)
            error = write_batch(export, cause);
        else
            export->unreadable += !batch_walk_repeats(walk, stored->first_ms, stored->last_ms);
        if (error != FB_OK)
            break;
        show_progress(export, false);
    }
    return error;
}

static enum fb_error write_raw(struct export *export, struct fb_cause *cause) {
    char name[32], path[PATH_MAX];
    snprintf(name, sizeof name, "%" PRIu64 ".fbb", export->stored.number);
    const enum fb_error error = file_join(export->output, name, path, sizeof path, cause);
    return error == FB_OK ? file_write(path, export->stored.bytes, export->stored.length, 0640, cause) : error;
}

static enum fb_error write_one_parked(struct export *export, uint64_t number, struct fb_cause *cause) {
    export->stored.number = number - 1;
    const enum fb_error error = stored_next_number(&export->stored, cause);
    if (error != FB_OK && error != FB_NOT_FOUND)
        return error;
    if (error == FB_NOT_FOUND || export->stored.number != number || !export->stored.readable) {
        export->unreadable++;
        return FB_OK;
    }
    return export->raw ? write_raw(export, cause) : write_batch(export, cause);
}

static enum fb_error write_parked(struct export *export, struct fb_cause *cause) {
    uint64_t numbers[STORED_PARKED_MOST], after = 0;
    size_t count;
    enum fb_error error;
    while ((error = stored_parked(&export->stored, after, numbers, &count, cause)) == FB_OK && count > 0) {
        for (size_t i = 0; error == FB_OK && i < count; i++)
            error = write_one_parked(export, numbers[i], cause);
        if (error != FB_OK)
            return error;
        after = numbers[count - 1];
    }
    return error == FB_OK ? FB_NOT_FOUND : error;
}

static enum fb_error write_all(struct export *export, struct fb_cause *cause) {
    enum fb_error error = export->parked ? FB_OK : stored_seal(&export->stored, cause);
    /* A store that takes nothing now can still be read. */
    if (error == FB_FULL || error == FB_IO)
        error = FB_OK;
    if (error == FB_OK && fputs(lines_header(export->format), export->to) < 0)
        error = fb_fail_errno(cause, FB_IO, errno, "writing");
    if (error == FB_OK)
        error = stored_corrections(&export->stored, &export->walk, cause);
    if (error != FB_OK)
        return error;
    batch_walk_begin(&export->walk, export->from_ms, export->to_ms - 1);
    do {
        export->stored.placed = false;
        error = export->parked ? write_parked(export, cause) : write_round(export, cause);
    } while (error == FB_NOT_FOUND && batch_walk_next(&export->walk));
    return error == FB_NOT_FOUND ? FB_OK : error;
}

/* The file appears under its name when it is complete. */
static enum fb_error write_file(struct export *export, struct fb_cause *cause) {
    char part[PATH_MAX];
    if ((size_t)snprintf(part, sizeof part, "%s.part", export->output) >= sizeof part)
        return fb_fail(cause, FB_LIMIT, "%s: path too long", export->output);
    export->to = fopen(part, "we");
    if (export->to == NULL)
        return fb_fail_errno(cause, FB_IO, errno, "%s", part);
    setvbuf(export->to, NULL, _IOFBF, OUTPUT_BUFFER_BYTES);
    enum fb_error error = write_all(export, cause);
    if (error == FB_OK && (fflush(export->to) != 0 || fsync(fileno(export->to)) < 0))
        error = fb_fail_errno(cause, FB_IO, errno, "%s", part);
    if (fclose(export->to) != 0 && error == FB_OK)
        error = fb_fail_errno(cause, FB_IO, errno, "%s", part);
    if (error == FB_OK && rename(part, export->output) < 0)
        error = fb_fail_errno(cause, FB_IO, errno, "%s", export->output);
    if (error != FB_OK)
        unlink(part);
    return error;
}

static enum fb_error write_standard_output(struct export *export, struct fb_cause *cause) {
    export->to = stdout;
    setvbuf(stdout, NULL, _IOFBF, OUTPUT_BUFFER_BYTES);
    const enum fb_error error = write_all(export, cause);
    if (error == FB_OK && fflush(stdout) != 0)
        return fb_fail_errno(cause, FB_IO, errno, "standard output");
    return error;
}

static enum fb_error write_folder(struct export *export, struct fb_cause *cause) {
    enum fb_error error = file_make_folder(export->output, cause);
    if (error == FB_OK)
        error = write_parked(export, cause);
    return error == FB_NOT_FOUND ? FB_OK : error;
}

static void remark(const struct export *export) {
    if (export->unreadable > 0)
        fprintf(stderr, "forebay export: %" PRIu64 " batches cannot be read any more and are left out\n",
                export->unreadable);
    for (size_t i = 0; i < export->wanted_count; i++)
        if (!export->wanted[i].found)
            fprintf(stderr, "forebay export: there is nothing of %s%s%s in this time\n", export->wanted[i].instrument,
                    export->wanted[i].tag[0] != '\0' ? "/" : "", export->wanted[i].tag);
}

static int run(struct export *export) {
    struct fb_cause cause = {""};
    struct config config = {0};
    if (export->run == NULL && !options_load_config(export->config_file, &config))
        return EXIT_FAILURE;
    export->stored.run = export->run != NULL ? export->run : config.run;
    enum fb_error error;
    if (export->raw)
        error = write_folder(export, &cause);
    else
        error = export->output != NULL ? write_file(export, &cause) : write_standard_output(export, &cause);
    if (error == FB_OK) {
        show_progress(export, true);
        remark(export);
    } else {
        fprintf(stderr, "forebay export: %s\n", cause.text);
    }
    catalogue_done(&export->catalogue);
    config_done(&config);
    return error == FB_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int export_main(int argc, char **argv) {
    struct fb_cause cause = {""};
    struct export *export = calloc(1, sizeof *export);
    if (export == NULL)
        return EXIT_FAILURE;
    *export = (struct export){.config_file = COMMAND_CONFIG_DEFAULT, .to_ms = clock_utc_ms() + 1};
    bool asked_help = false;
    int status;
    if (parse(argc, argv, export, &asked_help, &cause) != FB_OK) {
        fprintf(stderr, "forebay export: %s\n", cause.text);
        status = 2;
    } else if (asked_help) {
        status = fputs(help, stdout) < 0;
    } else {
        status = run(export);
    }
    free(export);
    return status;
}
