// links: gateway/receive/receiver.c gateway/receive/event.c gateway/receive/keep.c gateway/receive/ledger.c gateway/receive/ledger_json.c gateway/receive/lines.c gateway/receive/names.c gateway/receive/sink.c gateway/common/hex.c store/batch*.c store/catalogue.c gateway/common/error.c gateway/common/file.c gateway/common/quality.c gateway/common/reading.c gateway/common/number_text.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/common/file.h"
#include "gateway/receive/receiver.h"
#include "store/catalogue.h"

#define BATCHES 40
#define READINGS_A_BATCH 60
#define MESSAGES_MAX 256

struct recorded {
    const char *subject;
    uint8_t *bytes;
    size_t length;
};

/* A catalogue and BATCHES batches of one store, batch n at messages[n]. */
static struct recorded messages[BATCHES + 1];
static char folder[64];
static char state[96], output[96];

/* The N-th step towards the disk kills the program, before it is taken; 0: none does. */
static unsigned kill_at_step;

static void step(void) {
    if (kill_at_step > 0 && --kill_at_step == 0)
        kill(getpid(), SIGKILL);
}

int fdatasync(int fd) {
    step();
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd) {
    step();
    return (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to) {
    step();
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0u);
}

static void record_catalogue(struct recorded *message, uint64_t revision, uint8_t store, uint32_t tag_count) {
    struct catalogue catalogue = {.gateway = "works-1", .store_id = {store}, .revision = revision, .made_ms = 1};
    catalogue.tags = calloc(tag_count, sizeof *catalogue.tags);
    catalogue.tag_count = tag_count;
    for (uint32_t i = 0; i < tag_count; i++) {
        catalogue.tags[i] = (struct catalogue_tag){.number = i + 1, .instrument = "analyser-1", .unit = "mg/l"};
        snprintf(catalogue.tags[i].name, sizeof catalogue.tags[i].name, "tag-%u", i + 1);
    }
    *message = (struct recorded){.subject = "catalogue", .bytes = malloc(CATALOGUE_BYTES_MAX)};
    assert_int_equal(catalogue_encode(&catalogue, message->bytes, &message->length, NULL), FB_OK);
    catalogue_done(&catalogue);
}

static void record_batch(struct recorded *message, const struct batch_info *info) {
    struct reading readings[READINGS_A_BATCH];
    for (uint32_t i = 0; i < READINGS_A_BATCH; i++)
        readings[i] =
            reading_real64(1 + i % 3, (int64_t)(info->number * 100000 + i), 0, (double)(info->number * 1000 + i) / 100);
    *message = (struct recorded){.subject = "batch", .bytes = malloc(BATCH_BYTES_MAX)};
    assert_int_equal(batch_encode(info, readings, READINGS_A_BATCH, message->bytes, &message->length, NULL), FB_OK);
}

static void record_all(void) {
    record_catalogue(&messages[0], 1, 7, 3);
    struct batch_info info = {.gateway = "works-1", .store_id = {7}, .sealed_ms = 5};
    batch_hash(messages[0].bytes, messages[0].length, info.catalogue);
    for (uint64_t number = 1; number <= BATCHES; number++) {
        info.number = number;
        record_batch(&messages[number], &info);
        batch_hash(messages[number].bytes, messages[number].length, info.previous);
    }
}

static int set_up(void **user) {
    (void)user;
    strcpy(folder, "/tmp/test_receive.XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(state, sizeof state, "%s/state", folder);
    snprintf(output, sizeof output, "%s/out.ndjson", folder);
    if (messages[0].bytes == NULL)
        record_all();
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where) {
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static int tear_down(void **user) {
    (void)user;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static enum fb_error try_open(struct receiver **ret_receiver, struct fb_cause *cause) {
    const struct receiver_settings settings = {.folder = state, .output = output, .format = LINES_NDJSON};
    return receiver_open(&settings, ret_receiver, cause);
}

static struct receiver *must_open(void) {
    struct receiver *receiver = NULL;
    struct fb_cause cause = {""};
    if (try_open(&receiver, &cause) != FB_OK)
        fail_msg("%s", cause.text);
    return receiver;
}

static struct receiver_result take(struct receiver *receiver, const struct recorded *message) {
    struct receiver_result result;
    struct fb_cause cause;
    assert_int_equal(receiver_take(receiver, message->subject, message->bytes, message->length, &result, &cause),
                     FB_OK);
    return result;
}

static void must_commit(struct receiver *receiver) {
    assert_int_equal(receiver_commit(receiver, NULL), FB_OK);
}

static char *content(const char *path, size_t *ret_length) {
    char *text = NULL;
    struct fb_cause cause = {""};
    if (file_read(path, 64u << 20, &text, ret_length, &cause) != FB_OK)
        fail_msg("%s", cause.text);
    return text;
}

static size_t count_lines(const char *path) {
    size_t length, lines = 0;
    char *text = content(path, &length);
    for (size_t i = 0; i < length; i++)
        lines += text[i] == '\n';
    free(text);
    return lines;
}

static void batches_become_named_lines_once(void **user) {
    (void)user;
    struct receiver *receiver = must_open();
    for (size_t i = 0; i <= BATCHES; i++)
        assert_int_equal(take(receiver, &messages[i]).verdict, RECEIVER_ACCEPT);
    for (size_t i = 0; i <= BATCHES; i++) {
        const struct receiver_result again = take(receiver, &messages[i]);
        assert_int_equal(again.verdict, RECEIVER_ACCEPT);
        assert_int_equal(again.readings, 0);
    }
    must_commit(receiver);
    const struct ledger_totals totals = receiver_totals(receiver);
    assert_int_equal(totals.readings, BATCHES * READINGS_A_BATCH);
    assert_int_equal(totals.repeated_batches, BATCHES);
    assert_int_equal(totals.unnamed_readings, 0);
    assert_int_equal(totals.missing_batches, 0);
    receiver_close(receiver);
    assert_int_equal(count_lines(output), BATCHES * READINGS_A_BATCH);
    size_t length;
    char *text = content(output, &length);
    *strchr(text, '\n') = '\0';
    assert_string_equal(text, "{\"gateway\":\"works-1\",\"store\":\"07000000000000000000000000000000\",\"batch\":1,"
                              "\"tag\":1,\"instrument\":\"analyser-1\",\"name\":\"tag-1\",\"unit\":\"mg/l\","
                              "\"time_ms\":100000,\"value\":10,\"quality\":\"good\",\"reason\":\"\",\"detail\":0}");
    free(text);
}

static void without_a_catalogue_tags_keep_their_numbers(void **user) {
    (void)user;
    struct receiver *receiver = must_open();
    struct receiver_result result = take(receiver, &messages[1]);
    assert_int_equal(result.verdict, RECEIVER_ACCEPT);
    assert_non_null(strstr(result.why.text, "no catalogue names the tags of 60 readings"));
    take(receiver, &messages[0]);
    result = take(receiver, &messages[2]);
    assert_string_equal(result.why.text, "");
    assert_int_equal(receiver_totals(receiver).unnamed_readings, READINGS_A_BATCH);
    receiver_close(receiver);
}

static void a_newer_catalogue_stands_in_for_one_that_is_missing(void **user) {
    (void)user;
    struct recorded newer[2];
    record_catalogue(&newer[0], 9, 7, 2);
    record_catalogue(&newer[1], 4, 7, 1);
    struct receiver *receiver = must_open();
    take(receiver, &newer[0]);
    take(receiver, &newer[1]);
    take(receiver, &messages[1]);
    /* The newest names two of the three tags. */
    assert_int_equal(receiver_totals(receiver).unnamed_readings, READINGS_A_BATCH / 3);
    receiver_close(receiver);
    free(newer[0].bytes);
    free(newer[1].bytes);
}

static void catalogues_outlive_the_program_and_stay_few(void **user) {
    (void)user;
    struct receiver *receiver = must_open();
    take(receiver, &messages[0]);
    receiver_close(receiver);
    receiver = must_open();
    assert_string_equal(take(receiver, &messages[1]).why.text, "");
    for (uint64_t revision = 2; revision < 40; revision++) {
        struct recorded next;
        record_catalogue(&next, revision, 7, 3);
        take(receiver, &next);
        free(next.bytes);
    }
    receiver_close(receiver);
    char command[160];
    snprintf(command, sizeof command, "exit $(ls %s/catalogues | wc -l)", state);
    assert_int_equal(WEXITSTATUS(system(command)), 8);
}

static void what_is_no_batch_is_rejected_with_the_reason(void **user) {
    (void)user;
    struct receiver *receiver = must_open();
    const struct recorded strangers[] = {
        {"batch", messages[0].bytes, messages[0].length},     {"catalogue", messages[1].bytes, messages[1].length},
        {"batch", messages[1].bytes, messages[1].length - 1}, {"batch", (uint8_t[]){0}, 0},
        {"greeting", messages[1].bytes, messages[1].length},  {NULL, messages[1].bytes, messages[1].length},
    };
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        const struct receiver_result result = take(receiver, &strangers[i]);
        assert_int_equal(result.verdict, RECEIVER_REJECT);
        assert_string_not_equal(result.why.text, "");
    }
    assert_int_equal(receiver_totals(receiver).rejected, sizeof strangers / sizeof strangers[0]);
    must_commit(receiver);
    receiver_close(receiver);
    assert_int_equal(count_lines(output), 0);
}

static struct receiver_result take_event(struct receiver *receiver, const char *body) {
    const struct recorded message = {.subject = "event", .bytes = (uint8_t *)(uintptr_t)body, .length = strlen(body)};
    return take(receiver, &message);
}

#define EVENT(number)                                                                                                  \
    "{\"gateway\":\"works-1\", \"store\":\"01000000000000000000000000000000\",\n \"number\":" #number                  \
    ",\"time_ms\":1,\"event\":\"bus-down\"}"

static void events_become_lines_of_their_own_file_once(void **user) {
    (void)user;
    char events[128];
    snprintf(events, sizeof events, "%s/%s", state, RECEIVER_EVENTS);
    struct receiver *receiver = must_open();
    assert_int_equal(access(events, F_OK), -1);
    assert_int_equal(take_event(receiver, EVENT(1)).verdict, RECEIVER_ACCEPT);
    assert_int_equal(take_event(receiver, EVENT(1)).verdict, RECEIVER_ACCEPT);
    assert_int_equal(take_event(receiver, EVENT(3)).verdict, RECEIVER_ACCEPT);
    must_commit(receiver);
    assert_int_equal(take_event(receiver, EVENT(4)).verdict, RECEIVER_ACCEPT);
    receiver_close(receiver); /* as after a kill: 4 was not committed */
    receiver = must_open();
    assert_int_equal(take_event(receiver, EVENT(3)).verdict, RECEIVER_ACCEPT);
    assert_int_equal(take_event(receiver, EVENT(4)).verdict, RECEIVER_ACCEPT);
    must_commit(receiver);
    assert_int_equal(receiver_totals(receiver).events, 3);
    receiver_close(receiver);
    assert_int_equal(count_lines(events), 3);
}

static void what_is_no_event_is_rejected(void **user) {
    (void)user;
    static const char *const wrong[] = {
        "",
        "[]",
        "{\"gateway\":\"works-1\"}",
        "{\"gateway\":\"works-1\",\"store\":\"01\",\"number\":1,\"time_ms\":1,\"event\":\"x\"}",
        EVENT(0),
        EVENT(1.5),
        EVENT(9007199254740993),
    };
    struct receiver *receiver = must_open();
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const struct receiver_result result = take_event(receiver, wrong[i]);
        assert_int_equal(result.verdict, RECEIVER_REJECT);
        assert_string_not_equal(result.why.text, "");
    }
    receiver_close(receiver);
}

static void a_copied_store_is_refused(void **user) {
    (void)user;
    struct batch_info info = {.gateway = "works-2", .store_id = {7}, .number = 1, .sealed_ms = 99};
    struct recorded other;
    record_batch(&other, &info);
    struct receiver *receiver = must_open();
    take(receiver, &messages[1]);
    const struct receiver_result result = take(receiver, &other);
    assert_int_equal(result.verdict, RECEIVER_REJECT);
    assert_non_null(strstr(result.why.text, "copy"));
    receiver_close(receiver);
    free(other.bytes);
}

static void losses_are_remarked_and_counted(void **user) {
    (void)user;
    struct batch_info info = {.gateway = "works-1", .store_id = {7}, .number = 3, .sealed_ms = 99, .loss_count = 1};
    info.losses[0] = (struct batch_loss){
        .reason = BATCH_LOSS_QUOTA, .readings = 120, .from_ms = 1, .to_ms = 2, .first_batch = 1, .last_batch = 2};
    struct recorded telling;
    record_batch(&telling, &info);
    struct receiver *receiver = must_open();
    take(receiver, &messages[0]);
    assert_non_null(strstr(take(receiver, &telling).why.text, "names 1 losses, the last of 120 readings"));
    info.number = 4;
    batch_hash(telling.bytes, telling.length, info.previous);
    info.losses[0].readings = 0;
    struct recorded unknown;
    record_batch(&unknown, &info);
    assert_non_null(strstr(take(receiver, &unknown).why.text, "the last of an unknown number of readings"));
    const struct ledger_totals totals = receiver_totals(receiver);
    assert_int_equal(totals.missing_batches, 0);
    assert_int_equal(totals.lost_readings, 120 + 1); /* one of unknown size counts as one */
    receiver_close(receiver);
    free(telling.bytes);
    free(unknown.bytes);
}

static void uncommitted_lines_do_not_stay(void **user) {
    (void)user;
    struct receiver *receiver = must_open();
    take(receiver, &messages[0]);
    take(receiver, &messages[1]);
    must_commit(receiver);
    for (size_t i = 2; i <= BATCHES; i++)
        take(receiver, &messages[i]);
    receiver_close(receiver);
    receiver = must_open();
    assert_int_equal(count_lines(output), READINGS_A_BATCH);
    assert_int_equal(receiver_totals(receiver).batches, 1);
    receiver_close(receiver);
}

static void the_output_must_fit_the_state(void **user) {
    (void)user;
    struct fb_cause cause;
    struct receiver *receiver = must_open();
    take(receiver, &messages[0]);
    take(receiver, &messages[1]);
    must_commit(receiver);
    struct receiver *second = NULL;
    assert_int_equal(try_open(&second, &cause), FB_DENIED);
    assert_non_null(strstr(cause.text, "another forebay receive"));
    receiver_close(receiver);

    struct receiver_settings settings = {.folder = state, .output = output, .format = LINES_CSV};
    assert_int_equal(receiver_open(&settings, &second, &cause), FB_DENIED);
    assert_non_null(strstr(cause.text, "--format ndjson"));

    assert_int_equal(truncate(output, 100), 0);
    assert_int_equal(try_open(&second, &cause), FB_CORRUPT);
    assert_non_null(strstr(cause.text, "has 100 bytes"));

    /* Moved away: begun anew. */
    assert_int_equal(unlink(output), 0);
    receiver = must_open();
    assert_int_equal(take(receiver, &messages[2]).readings, READINGS_A_BATCH);
    must_commit(receiver);
    receiver_close(receiver);
    assert_int_equal(count_lines(output), READINGS_A_BATCH);

    snprintf(state, sizeof state, "%s/other-state", folder);
    assert_int_equal(try_open(&second, &cause), FB_DENIED);
    assert_non_null(strstr(cause.text, "knows nothing of"));
}

static void csv_gets_its_header_once(void **user) {
    (void)user;
    const struct receiver_settings settings = {.folder = state, .output = output, .format = LINES_CSV};
    struct receiver *receiver = NULL;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(receiver_open(&settings, &receiver, NULL), FB_OK);
        take(receiver, &messages[1 + i]);
        must_commit(receiver);
        receiver_close(receiver);
    }
    assert_int_equal(count_lines(output), 1 + 3 * READINGS_A_BATCH);
}

static void a_damaged_state_is_refused_with_its_name(void **user) {
    (void)user;
    receiver_close(must_open());
    char path[128];
    snprintf(path, sizeof path, "%s/state.json", state);
    static const struct {
        const char *text;
        enum fb_error error;
    } cases[] = {{"", FB_CORRUPT}, {"{\"version\":1}", FB_CORRUPT}, {"{\"version\":2}", FB_VERSION}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct receiver *receiver = NULL;
        struct fb_cause cause = {""};
        assert_int_equal(file_write(path, cases[i].text, strlen(cases[i].text), 0640, NULL), FB_OK);
        assert_int_equal(try_open(&receiver, &cause), cases[i].error);
        assert_non_null(strstr(cause.text, "state.json"));
    }
}

/* A limit on the size of files stands for the full disk: the write is cut short and then fails. */
static void output_that_takes_no_more_is_an_error_and_loses_nothing(void **user) {
    (void)user;
    struct receiver *receiver = must_open();
    struct fb_cause cause = {""};
    struct rlimit limit, before;
    take(receiver, &messages[0]);
    take(receiver, &messages[1]);
    must_commit(receiver);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 16000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    take(receiver, &messages[2]);
    assert_int_equal(receiver_commit(receiver, &cause), FB_IO);
    assert_non_null(strstr(cause.text, "out.ndjson: File too large"));
    receiver_close(receiver);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    receiver = must_open();
    assert_int_equal(count_lines(output), READINGS_A_BATCH);
    assert_int_equal(take(receiver, &messages[2]).readings, READINGS_A_BATCH);
    receiver_close(receiver);
}

/* What the sender has: everything it has no answer for, from next on. Order and repeats are the seed's. */
static size_t make_sequence(unsigned seed, size_t *ret_sequence) {
    srand(seed);
    size_t count = 0;
    ret_sequence[count++] = 0;
    for (size_t i = 1; i <= BATCHES; i++)
        ret_sequence[count++] = i;
    for (size_t i = count - 1; i > 1; i--) {
        const size_t other = 1 + (size_t)rand() % i, kept = ret_sequence[i];
        ret_sequence[i] = ret_sequence[other];
        ret_sequence[other] = kept;
    }
    for (; count < BATCHES * 2; count++)
        ret_sequence[count] = (size_t)rand() % (BATCHES + 1);
    return count;
}

/* The child: take what has no answer yet, commit now and then, and only then tell the parent how far it came. */
static void consume(const size_t *sequence, size_t next, size_t count, unsigned seed, int tell_fd) {
    struct receiver *receiver = NULL;
    struct receiver_result result;
    srand(seed);
    if (try_open(&receiver, NULL) != FB_OK)
        _exit(1);
    while (next < count) {
        for (size_t left = 1 + (size_t)rand() % 8; left > 0 && next < count; left--, next++) {
            const struct recorded *message = &messages[sequence[next]];
            if (receiver_take(receiver, message->subject, message->bytes, message->length, &result, NULL) != FB_OK ||
                result.verdict != RECEIVER_ACCEPT)
                _exit(1);
        }
        if (receiver_commit(receiver, NULL) != FB_OK || write(tell_fd, &next, sizeof next) != sizeof next)
            _exit(1);
    }
    receiver_close(receiver);
    _exit(0);
}

/* Run the child once and kill it at a step, or after some of its answers and a moment more; how far it came. */
static size_t run_child(const size_t *sequence, size_t next, size_t count, unsigned at_step, unsigned moment) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        kill_at_step = at_step;
        consume(sequence, next, count, moment, ends[1]);
    }
    close(ends[1]);
    unsigned answers = moment % 4;
    while ((at_step > 0 || answers-- > 0) && read(ends[0], &next, sizeof next) == sizeof next)
        ;
    if (at_step == 0) {
        usleep(moment % 3000);
        kill(child, SIGKILL);
    }
    while (read(ends[0], &next, sizeof next) == sizeof next)
        ;
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status))
        assert_int_equal(WEXITSTATUS(status), 0);
    return next;
}

/* Kill and go on until the last kill, then let the rest run; the file must be the one of a run in peace. */
static void survive(unsigned seed, unsigned kills, bool at_steps) {
    size_t sequence[MESSAGES_MAX], length, length_in_peace, next = 0;
    const size_t count = make_sequence(seed, sequence);
    for (unsigned i = 0; i < kills; i++)
        next = run_child(sequence, next, count, at_steps ? 1 + i : 0, seed * 7919 + i * 611953);
    assert_int_equal(run_child(sequence, next, count, 1000000, seed), count);
    char *text = content(output, &length);

    snprintf(state, sizeof state, "%s/peace-state", folder);
    snprintf(output, sizeof output, "%s/peace.ndjson", folder);
    assert_int_equal(run_child(sequence, 0, count, 1000000, seed), count);
    char *text_in_peace = content(output, &length_in_peace);
    assert_int_equal(count_lines(output), BATCHES * READINGS_A_BATCH);
    assert_int_equal(length, length_in_peace);
    assert_memory_equal(text, text_in_peace, length);
    free(text);
    free(text_in_peace);
}

static void kills_at_any_moment_leave_each_line_once(void **user) {
    (void)user;
    survive(1, 30, false);
}

static void kills_before_each_step_leave_each_line_once(void **user) {
    (void)user;
    survive(2, 40, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(batches_become_named_lines_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_catalogue_tags_keep_their_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_newer_catalogue_stands_in_for_one_that_is_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(catalogues_outlive_the_program_and_stay_few, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_batch_is_rejected_with_the_reason, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_become_lines_of_their_own_file_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_event_is_rejected, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_copied_store_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(losses_are_remarked_and_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(uncommitted_lines_do_not_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_output_must_fit_the_state, set_up, tear_down),
        cmocka_unit_test_setup_teardown(csv_gets_its_header_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_state_is_refused_with_its_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(output_that_takes_no_more_is_an_error_and_loses_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(kills_at_any_moment_leave_each_line_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(kills_before_each_step_leave_each_line_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
