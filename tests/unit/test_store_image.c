// links: store/*.c gateway/common/*.c
/* test_store_image.c - the writer and the checker that tests/e2e/test_store_power_image.py runs on a disk whose power
 * it cuts, and their own tests, run without arguments. test_store_image write FOLDER             append, commit and
 * seal until that fails; a line with the last sequence follows on each commit test_store_image check FOLDER AFTER LEAST
 * the readings behind sequence AFTER are unsent and there once, up to LEAST or further; the line says how far. They are
 * marked as sent. */
#include <signal.h>
#include <sys/wait.h>

#include "store_fixture.h"

#define STEP_READINGS_MAX 300
#define COMMITS 20

static void use_folder(struct fixture *fixture, const char *folder) {
    *fixture = (struct fixture){.quota_bytes = UINT64_C(32) * 1024 * 1024};
    snprintf(fixture->path, sizeof fixture->path, "%s/store.db", folder);
    memset(fixture->key, 0x42, sizeof fixture->key);
    fixture_make_plant(fixture);
}

static void open_in(struct fixture *fixture, const char *folder) {
    use_folder(fixture, folder);
    fixture_open(fixture);
    if (fixture->opening.set_aside[0] != '\0')
        fail_msg("set aside: %s", fixture->opening.reason);
    fixture->sequence = store_committed_cursor(fixture->store).sequence;
}

/* Until a commit fails, which ends the program, or nobody reads the lines any more. */
static void write_on(const char *folder, int lines) {
    struct fixture fixture;
    open_in(&fixture, folder);
    unsigned seed = (unsigned)fixture.sequence;
    do {
        fixture_append(&fixture, 1 + (size_t)rand_r(&seed) % STEP_READINGS_MAX);
        fixture_commit(&fixture);
        if (rand_r(&seed) % 4 == 0)
            fixture_seal(&fixture);
    } while (dprintf(lines, "%llu\n", (unsigned long long)fixture.sequence) > 0);
}

/* Returns what is wrong, or NULL. */
static const char *find_fault(const struct fixture_harvest *harvest, uint64_t after, uint64_t least, uint64_t last) {
    if (last < least)
        return "less is there than was committed";
    if (harvest->lost != 0)
        return "readings are told as lost";
    for (uint64_t n = 1; n <= last; n++)
        if (harvest->seen[n] != (n > after))
            return harvest->seen[n] > 0 ? "a reading is there twice" : "a reading is missing";
    return NULL;
}

static const char *check(const char *folder, uint64_t after, uint64_t least, uint64_t *ret_last) {
    struct fixture fixture;
    open_in(&fixture, folder);
    *ret_last = fixture.sequence;
    fixture_seal(&fixture);
    struct fixture_harvest harvest = fixture_harvest(&fixture, fixture.sequence + 1);
    const char *fault = find_fault(&harvest, after, least, fixture.sequence);
    free(harvest.seen);
    fixture_close(&fixture);
    return fault;
}

static uint64_t write_commits_and_kill(const char *folder) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        write_on(folder, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    FILE *lines = fdopen(ends[0], "r");
    char line[32];
    for (int i = 0; i < COMMITS; i++)
        assert_non_null(fgets(line, sizeof line, lines));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    while (fgets(line, sizeof line, lines) != NULL)
        continue;
    fclose(lines);
    return strtoull(line, NULL, 10);
}

static void what_was_written_is_found_each_time_anew(void **state) {
    const struct fixture *fixture = *state;
    uint64_t last = 0;
    for (int i = 0; i < 3; i++) {
        const uint64_t before = last, reported = write_commits_and_kill(fixture->folder);
        assert_null(check(fixture->folder, before, reported, &last));
        assert_in_range(last, reported, reported + STEP_READINGS_MAX);
    }
}

static void what_is_not_there_is_found_out(void **state) {
    const struct fixture *fixture = *state;
    uint64_t last;
    const uint64_t reported = write_commits_and_kill(fixture->folder);
    assert_string_equal(check(fixture->folder, 0, reported + 2 * STEP_READINGS_MAX, &last),
                        "less is there than was committed");
    assert_string_equal(check(fixture->folder, 0, reported, &last), "a reading is missing");
    write_commits_and_kill(fixture->folder);
    assert_string_equal(check(fixture->folder, last + 1, last, &last), "a reading is there twice");
}

static int work(char **words) {
    if (strcmp(words[1], "write") == 0) {
        write_on(words[2], STDOUT_FILENO);
        return EXIT_FAILURE;
    }
    uint64_t last = 0;
    const char *fault = check(words[2], strtoull(words[3], NULL, 10), strtoull(words[4], NULL, 10), &last);
    printf("%llu\n", (unsigned long long)last);
    if (fault != NULL)
        fprintf(stderr, "%s: %s were taken, %s promised, %llu are there\n", fault, words[3], words[4],
                (unsigned long long)last);
    return fault == NULL ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_written_is_found_each_time_anew, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_found_out, fixture_setup, fixture_teardown),
    };
    if (argc == 1)
        return cmocka_run_group_tests(tests, NULL, NULL);
    const bool is_write = argc == 3 && strcmp(argv[1], "write") == 0;
    if (!is_write && !(argc == 5 && strcmp(argv[1], "check") == 0)) {
        fputs("usage: see the head of test_store_image.c\n", stderr);
        return 2;
    }
    return work(argv);
}
