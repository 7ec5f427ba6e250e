// links: gateway/core/nonces.c gateway/core/refusal.c gateway/common/error.c gateway/common/file.c gateway/common/hex.c
/* test_nonces.c - a nonce counts once: through restarts, cuts, wrong clocks, and a file that is gone or damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/common/file.h"
#include "gateway/core/claims.h"
#include "gateway/core/nonces.h"

#define NOW_S INT64_C(1795293200)
#define LATER_S (NOW_S + 5000)

struct world {
    char folder[64], path[96];
    struct nonces *nonces;
    struct fb_cause begun, cause;
};

static int make_world(void **state) {
    struct world *world = calloc(1, sizeof *world);
    snprintf(world->folder, sizeof world->folder, "/tmp/forebay-nonces-XXXXXX");
    if (mkdtemp(world->folder) == NULL)
        return -1;
    snprintf(world->path, sizeof world->path, "%s/nonces", world->folder);
    *state = world;
    return 0;
}

static int drop_world(void **state) {
    struct world *world = *state;
    nonces_close(world->nonces);
    chmod(world->folder, 0700);
    unlink(world->path);
    rmdir(world->path);
    rmdir(world->folder);
    free(world);
    return 0;
}

static void open_at(struct world *world, int64_t now_s) {
    nonces_close(world->nonces);
    assert_int_equal(nonces_open(world->path, now_s * 1000, &world->nonces, &world->begun, &world->cause), FB_OK);
}

static enum refusal use(struct world *world, const char *nonce, int64_t issued_s, int64_t life_s, int64_t now_s) {
    return nonces_use(world->nonces, nonce, issued_s, issued_s + life_s, now_s * 1000, &world->cause);
}

static void a_nonce_counts_once_and_still_after_a_restart(void **state) {
    struct world *world = *state;
    open_at(world, NOW_S);
    assert_int_equal(use(world, "one", NOW_S, 300, NOW_S), REFUSAL_NONE);
    assert_int_equal(use(world, "one", NOW_S, 300, NOW_S + 1), REFUSAL_REPLAYED);
    assert_int_equal(use(world, "two", NOW_S, 300, NOW_S + 1), REFUSAL_NONE);
    open_at(world, NOW_S + 10);
    assert_string_equal(world->begun.text, "");
    assert_int_equal(use(world, "one", NOW_S, 300, NOW_S + 10), REFUSAL_REPLAYED);
    assert_int_equal(use(world, "two", NOW_S, 300, NOW_S + 10), REFUSAL_REPLAYED);
    assert_int_equal(use(world, "three", NOW_S, 300, NOW_S + 10), REFUSAL_NONE);
}

static void a_clock_that_was_ahead_makes_nothing_good_again(void **state) {
    struct world *world = *state;
    open_at(world, NOW_S);
    assert_int_equal(use(world, "one", NOW_S, 300, NOW_S), REFUSAL_NONE);
    assert_int_equal(use(world, "far", LATER_S, 300, LATER_S), REFUSAL_NONE); /* "one" is dropped */
    open_at(world, NOW_S);
    assert_int_equal(use(world, "one", NOW_S, 300, NOW_S), REFUSAL_LATE);
    assert_int_equal(use(world, "far", LATER_S, 300, NOW_S), REFUSAL_REPLAYED);
    assert_int_equal(use(world, "new", NOW_S + 1, 300, NOW_S + 1), REFUSAL_NONE);
}

static void without_the_file_what_was_issued_before_is_refused(void **state) {
    struct world *world = *state;
    open_at(world, NOW_S);
    assert_int_equal(use(world, "one", NOW_S, 300, NOW_S), REFUSAL_NONE);
    assert_int_equal(unlink(world->path), 0);
    open_at(world, NOW_S + 5);
    assert_string_not_equal(world->begun.text, "");
    assert_int_equal(use(world, "one", NOW_S, 300, NOW_S + 5), REFUSAL_LATE);
    assert_int_equal(use(world, "two", NOW_S + 5, 300, NOW_S + 5), REFUSAL_NONE);
}

/* Every cut and every changed byte: what was used stays refused. */
static void a_damaged_file_makes_nothing_good_again(void **state) {
    struct world *world = *state;
    char *text;
    size_t length;
    open_at(world, NOW_S);
    assert_int_equal(use(world, "one", NOW_S, 300, NOW_S), REFUSAL_NONE);
    assert_int_equal(file_read(world->path, 65536, &text, &length, &world->cause), FB_OK);
    for (size_t cut = 0; cut + 1 < length; cut++) { /* the last line feed says nothing */
        assert_int_equal(file_write(world->path, text, cut, 0600, &world->cause), FB_OK);
        open_at(world, NOW_S + 5);
        assert_string_not_equal(world->begun.text, "");
        assert_int_equal(use(world, "one", NOW_S, 300, NOW_S + 5), REFUSAL_LATE);
    }
    free(text);
}

static void what_cannot_be_written_is_not_taken(void **state) {
    struct world *world = *state;
    open_at(world, NOW_S);
    char blocked[128];
    snprintf(blocked, sizeof blocked, "%s/nonces.new", world->folder);
    assert_int_equal(mkdir(blocked, 0700), 0);
    assert_int_equal(use(world, "one", NOW_S, 300, NOW_S), REFUSAL_FAILED);
    assert_int_equal(rmdir(blocked), 0);
    assert_int_equal(use(world, "one", NOW_S, 300, NOW_S), REFUSAL_NONE);
}

static void a_full_file_takes_more_once_some_have_expired(void **state) {
    struct world *world = *state;
    char nonce[32];
    open_at(world, NOW_S);
    for (int i = 0; i < NONCES_MAX; i++) {
        snprintf(nonce, sizeof nonce, "nonce-%d", i);
        assert_int_equal(use(world, nonce, NOW_S, i == 7 ? 10 : 3600, NOW_S), REFUSAL_NONE);
    }
    assert_int_equal(use(world, "one", NOW_S, 300, NOW_S), REFUSAL_TOO_MANY);
    open_at(world, NOW_S);
    assert_string_equal(world->begun.text, "");
    assert_int_equal(use(world, "one", NOW_S, 300, NOW_S + 10 + CLAIMS_SKEW_S), REFUSAL_TOO_MANY);
    assert_int_equal(use(world, "one", NOW_S, 300, NOW_S + 11 + CLAIMS_SKEW_S), REFUSAL_NONE);
    assert_int_equal(use(world, "nonce-7", NOW_S, 10, NOW_S + 11 + CLAIMS_SKEW_S), REFUSAL_LATE);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, make_world, drop_world)
    const struct CMUnitTest tests[] = {
        TEST(a_nonce_counts_once_and_still_after_a_restart),
        TEST(a_clock_that_was_ahead_makes_nothing_good_again),
        TEST(without_the_file_what_was_issued_before_is_refused),
        TEST(a_damaged_file_makes_nothing_good_again),
        TEST(what_cannot_be_written_is_not_taken),
        TEST(a_full_file_takes_more_once_some_have_expired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
