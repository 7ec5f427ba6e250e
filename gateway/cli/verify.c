/* verify.c - `forebay verify`: walks the chain of batches, in the store of the running gateway or in a folder where
 * `forebay receive --keep-batches` has put them, and names the first that is not as it was sealed. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/command.h"
#include "gateway/cli/options.h"
#include "gateway/cli/stored.h"
#include "gateway/cli/verify_audit.h"
#include "gateway/cli/verify_salvaged.h"
#include "gateway/common/file.h"
#include "gateway/common/hex.h"
#include "gateway/receive/chain.h"
#include "gateway/receive/keep.h"
#include "store/store.h" /* STORE_SALVAGED_FIRST */

#define STORE_DIGITS (2 * BATCH_STORE_ID_BYTES)
#define HASH_DIGITS (2 * BATCH_HASH_BYTES)

static const char help[] =
    "Usage: forebay verify [-c FILE | --run FOLDER | --batches FOLDER] [--head HEAD]\n"
    "       forebay verify --audit [-c FILE | --run FOLDER] [--head HEAD]\n"
    "\n"
    "Checks that each batch is the one that the next was made behind, and names the first that\n"
    "was altered, removed or reordered. Prints the head: keep it where nobody else can change it,\n"
    "and give it to a later check.\n"
    "\n"
    "  --audit            the same for the audit's records\n"
    "  --batches FOLDER   a store's folder below that of forebay receive --keep-batches\n"
    "  --head HEAD        STORE/NUMBER/HASH of a batch, or audit/NUMBER/HASH, as printed by an\n"
    "                     earlier check\n"
    "  -c, --config FILE  the configuration of the running gateway whose store is checked\n"
    "                     (default " COMMAND_CONFIG_DEFAULT ")\n"
    "  --run FOLDER       its run folder, when the configuration file cannot be read\n"
    "  --help             show this\n"
    "\n"
    "Exit status: 0 all good, 1 something is wrong or could not be checked, 2 wrong usage.\n";

struct verify {
    const char *config_file, *run, *batches;
    const char *head_text; /* NULL: none was given */
    bool audit;
    struct chain_head head;
    uint8_t head_store[BATCH_STORE_ID_BYTES];
    struct chain *chain;
    uint64_t evicted_to;
    struct verify_salvaged salvaged; /* good when there is nothing of that kind */
};

/* The store's digits, a slash, the number, a slash, the hash's digits. */
static bool split_head(const char *text, struct verify *verify) {
    char store[STORE_DIGITS + 1] = "";
    char *end;
    const size_t digits = strcspn(text, "/");
    if (digits != STORE_DIGITS || text[digits] != '/')
        return false;
    memcpy(store, text, digits);
    const char *number = text + digits + 1;
    errno = 0;
    verify->head.number = strtoull(number, &end, 10);
    return errno == 0 && number[0] >= '1' && number[0] <= '9' && *end == '/' &&
           hex_decode(store, verify->head_store, sizeof verify->head_store) &&
           hex_decode(end + 1, verify->head.hash, sizeof verify->head.hash);
}

static enum fb_error parse_head(const char *text, struct verify *verify, struct fb_cause *cause) {
    if (split_head(text, verify))
        return FB_OK;
    return fb_fail(cause, FB_INVALID, "--head %s: it is STORE/NUMBER/HASH, as forebay verify prints it", text);
}

static enum fb_error take_option(struct verify *verify, int letter, struct fb_cause *cause) {
    switch (letter) {
    case 'b':
        verify->batches = optarg;
        return FB_OK;
    case 'H':
        verify->head_text = optarg;
        return FB_OK;
    case 'a':
        verify->audit = true;
        return FB_OK;
    case 'r':
        verify->run = optarg;
        return FB_OK;
    case 'c':
        verify->config_file = optarg;
        return FB_OK;
    default:
        return fb_fail(cause, FB_INVALID, "see forebay verify --help");
    }
}

/* ret_help: it was asked for. */
static enum fb_error parse(int argc, char **argv, struct verify *verify, bool *ret_help, struct fb_cause *cause) {
    static const struct option options[] = {{"audit", no_argument, NULL, 'a'},
                                            {"batches", required_argument, NULL, 'b'},
                                            {"head", required_argument, NULL, 'H'},
                                            {"run", required_argument, NULL, 'r'},
                                            {"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int letter;
    while ((letter = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        *ret_help = letter == 'h';
        const enum fb_error error = *ret_help ? FB_OK : take_option(verify, letter, cause);
        if (error != FB_OK || *ret_help)
            return error;
    }
    if (optind != argc)
        return fb_fail(cause, FB_INVALID, "%s: not expected; see forebay verify --help", argv[optind]);
    if (verify->audit && verify->batches != NULL)
        return fb_fail(cause, FB_INVALID, "--audit: the gateway has it, not a folder of batches");
    return verify->audit || verify->head_text == NULL ? FB_OK : parse_head(verify->head_text, verify, cause);
}

static enum fb_error walk_store(struct verify *verify, const char *run, struct fb_cause *cause) {
    FB_CLEANUP(file_free) struct stored *stored = calloc(1, sizeof *stored);
    if (stored == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    stored->run = run;
    enum fb_error error = FB_OK;
    while (error == FB_OK) {
        error = stored_next_number(stored, cause);
        verify->evicted_to = stored->evicted_to;
        if (error == FB_OK && stored->number >= STORE_SALVAGED_FIRST)
            return verify_salvaged(run, &verify->head, verify->head_store, &verify->salvaged, cause);
        if (error == FB_OK)
            error = chain_add(verify->chain, stored->number, stored->readable ? stored->bytes : NULL, stored->length,
                              cause);
    }
    return error == FB_NOT_FOUND ? FB_OK : error;
}

static int compare_numbers(const void *a, const void *b) {
    const uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
    return first < second ? -1 : first > second;
}

/* ret_numbers: malloc, rising. */
static enum fb_error list_batches(const char *folder, uint64_t **ret_numbers, size_t *ret_count,
                                  struct fb_cause *cause) {
    DIR *opened = opendir(folder);
    if (opened == NULL)
        return fb_fail_errno(cause, FB_IO, errno, "%s", folder);
    uint64_t *numbers = NULL;
    size_t count = 0;
    enum fb_error error = FB_OK;
    const struct dirent *item;
    while (error == FB_OK && (item = readdir(opened)) != NULL) {
        uint64_t number;
        if (!keep_parse_name(item->d_name, &number))
            continue;
        uint64_t *grown =
            (count & (count - 1)) == 0 ? reallocarray(numbers, count > 0 ? 2 * count : 1, sizeof *grown) : numbers;
        if (grown == NULL) {
            error = fb_fail(cause, FB_MEMORY, "out of memory");
            break;
        }
        numbers = grown;
        numbers[count++] = number;
    }
    closedir(opened);
    if (count > 0)
        qsort(numbers, count, sizeof *numbers, compare_numbers);
    *ret_numbers = numbers;
    *ret_count = count;
    return error;
}

static enum fb_error add_file(struct verify *verify, uint64_t number, struct fb_cause *cause) {
    char name[KEEP_NAME_MAX], path[PATH_MAX];
    FB_CLEANUP(file_free) char *bytes = NULL;
    size_t length = 0;
    keep_name(number, name);
    enum fb_error error = file_join(verify->batches, name, path, sizeof path, cause);
    if (error == FB_OK)
        error = file_read(path, BATCH_BYTES_MAX, &bytes, &length, cause);
    if (error == FB_LIMIT) /* no batch is that large: as good as gone */
        return chain_add(verify->chain, number, NULL, 0, cause);
    return error == FB_OK ? chain_add(verify->chain, number, (const uint8_t *)bytes, length, cause) : error;
}

static enum fb_error walk_files(struct verify *verify, struct fb_cause *cause) {
    FB_CLEANUP(file_free) uint64_t *numbers = NULL;
    size_t count = 0;
    enum fb_error error = list_batches(verify->batches, &numbers, &count, cause);
    if (error == FB_OK && count == 0)
        error = fb_fail(cause, FB_NOT_FOUND, "%s: there are no batches in this folder; name that of one store",
                        verify->batches);
    for (size_t i = 0; error == FB_OK && i < count; i++)
        error = add_file(verify, numbers[i], cause);
    return error;
}

static enum fb_error walk(struct verify *verify, struct fb_cause *cause) {
    if (verify->batches != NULL)
        return walk_files(verify, cause);
    if (verify->run != NULL)
        return walk_store(verify, verify->run, cause);
    struct config config;
    if (!options_load_config(verify->config_file, &config))
        return fb_fail(cause, FB_INVALID, "the configuration cannot be read");
    const enum fb_error error = walk_store(verify, config.run, cause);
    config_done(&config);
    return error;
}

static void print_good(const struct chain_finding *finding) {
    char store[STORE_DIGITS + 1], hash[HASH_DIGITS + 1];
    hex_encode(finding->store_id, sizeof finding->store_id, store);
    hex_encode(finding->hash, sizeof finding->hash, hash);
    printf("%" PRIu64 " batches, %" PRIu64 " to %" PRIu64 ": each is the one that the next was made behind",
           finding->batches, finding->first, finding->last);
    if (finding->missing > 0)
        printf("; %" PRIu64 " are not there any more, which is explained", finding->missing);
    if (finding->thinned > 0)
        printf("; %" PRIu64 " were thinned", finding->thinned);
    printf("\nhead %s/%" PRIu64 "/%s\n", store, finding->last, hash);
}

/* Exit status. */
static int tell(const struct verify *verify, const struct chain_finding *finding) {
    const int good = verify->salvaged.good ? EXIT_SUCCESS : EXIT_FAILURE;
    if (finding->batches > 0 && verify->head.number != 0 && !verify->salvaged.has_pinned &&
        memcmp(verify->head_store, finding->store_id, sizeof finding->store_id) != 0) {
        puts("these batches are not of the store whose head was given");
        return EXIT_FAILURE;
    }
    if (finding->verdict == CHAIN_GOOD && finding->batches == 0) {
        puts("there are no batches yet");
        return good;
    }
    if (finding->verdict == CHAIN_GOOD) {
        print_good(finding);
        return good;
    }
    if (finding->or_next)
        printf("batch %" PRIu64 " or batch %" PRIu64 " %s\n", finding->number, finding->number + 1,
               chain_verdict_word(finding->verdict));
    else
        printf("batch %" PRIu64 " %s\n", finding->number, chain_verdict_word(finding->verdict));
    return EXIT_FAILURE;
}

static enum fb_error check(struct verify *verify, struct chain_finding *ret_finding, struct fb_cause *cause) {
    enum fb_error error = chain_new(&verify->head, &verify->chain, cause);
    if (error == FB_OK)
        error = walk(verify, cause);
    if (error == FB_OK && verify->salvaged.has_pinned)
        chain_drop_head(verify->chain);
    if (error == FB_OK)
        error = chain_judge(verify->chain, verify->evicted_to, ret_finding, cause);
    chain_free(verify->chain);
    return error;
}

static int check_audit(const struct verify *verify) {
    struct config config;
    if (verify->run != NULL)
        return verify_audit(verify->run, verify->head_text);
    if (!options_load_config(verify->config_file, &config))
        return EXIT_FAILURE;
    const int status = verify_audit(config.run, verify->head_text);
    config_done(&config);
    return status;
}

int verify_main(int argc, char **argv) {
    struct verify verify = {.config_file = COMMAND_CONFIG_DEFAULT, .salvaged = {.good = true}};
    struct fb_cause cause = {""};
    struct chain_finding finding;
    bool asked_help = false;
    if (parse(argc, argv, &verify, &asked_help, &cause) != FB_OK) {
        fprintf(stderr, "forebay verify: %s\n", cause.text);
        return 2;
    }
    if (asked_help)
        return fputs(help, stdout) < 0;
    if (verify.audit)
        return check_audit(&verify);
    if (check(&verify, &finding, &cause) == FB_OK)
        return tell(&verify, &finding);
    fprintf(stderr, "forebay verify: %s\n", cause.text);
    return EXIT_FAILURE;
}
