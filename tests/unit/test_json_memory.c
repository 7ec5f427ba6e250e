// links: drivers/json_memory.c
/* JSON apart from the heap: whole while it lives, gone from memory with the last of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/json_memory.h"

#define ENTRIES 5000

static bool is_mapped(const void *address) {
    unsigned char resident;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    return mincore((void *)((uintptr_t)address & ~(page - 1)), 1, &resident) == 0;
}

static json_t *make_large(void) {
    json_t *list = json_array();
    for (int i = 0; i < ENTRIES; i++)
        assert_int_equal(json_array_append_new(list, json_pack("{s:i, s:s}", "n", i, "text", "some words")), 0);
    return list;
}

static void what_is_made_there_is_what_it_says(void **state) {
    (void)state;
    json_t *list = make_large();
    char *text = json_memory_text(list, JSON_COMPACT);
    assert_non_null(text);
    json_error_t why;
    json_t *again = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    assert_true(json_equal(list, again));
    json_decref(list);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(again, ENTRIES - 1), "n")), ENTRIES - 1);
    json_decref(again);
    assert_int_equal(strncmp(text, "[{\"n\":0,\"text\":\"some words\"},", 29), 0);
    free(text);
}

static void all_of_it_is_given_back_with_the_last(void **state) {
    (void)state;
    json_t *list = make_large(), *small = json_integer(7);
    json_decref(list);
    assert_true(is_mapped(small));
    const json_t *const gone = small;
    json_decref(small);
    assert_false(is_mapped(gone));
}

static void a_new_process_begins_without_its_parents(void **state) {
    (void)state;
    json_t *list = make_large();
    const pid_t child = fork();
    if (child == 0) {
        json_memory_forget();
        json_t *own = json_integer(7);
        const void *const place = own;
        json_decref(own); /* the last of its own, though not of its parent's */
        _exit(is_mapped(place) ? EXIT_FAILURE : EXIT_SUCCESS);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(json_array_size(list), ENTRIES);
    json_decref(list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_made_there_is_what_it_says),
        cmocka_unit_test(all_of_it_is_given_back_with_the_last),
        cmocka_unit_test(a_new_process_begins_without_its_parents),
    };
    json_memory_use();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
