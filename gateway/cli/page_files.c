#include "gateway/cli/page_files.h"

#include <stdlib.h>

#include "gateway/common/file_stamp.h"

#define TIMER_ACCURACY_US 1000000
#define FILES 2

struct page_files {
    const char *paths[FILES];
    struct file_stamp stamps[FILES];
    void (*changed)(void *user);
    void *user;
    sd_event_source *timer;
};

static int on_look(sd_event_source *source, uint64_t now_us, void *user) {
    (void)now_us;
    struct page_files *files = user;
    bool same = true;
    for (size_t i = 0; i < FILES; i++) {
        const struct file_stamp stamp = file_stamp_of(files->paths[i]);
        same = file_stamp_same(&stamp, &files->stamps[i]) && same;
        files->stamps[i] = stamp;
    }
    sd_event_source_set_time_relative(source, (uint64_t)PAGE_FILES_LOOK_MS * 1000);
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    if (!same)
        files->changed(files->user);
    return 0;
}

enum fb_error page_files_watch(sd_event *event, const char *certificate, const char *key, void (*changed)(void *user),
                               void *user, struct page_files **ret_files, struct fb_cause *cause) {
    struct page_files *files = calloc(1, sizeof *files);
    if (files == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    *files = (struct page_files){.paths = {certificate, key}, .changed = changed, .user = user};
    for (size_t i = 0; i < FILES; i++)
        files->stamps[i] = file_stamp_of(files->paths[i]);
    if (sd_event_add_time_relative(event, &files->timer, CLOCK_MONOTONIC, (uint64_t)PAGE_FILES_LOOK_MS * 1000,
                                   TIMER_ACCURACY_US, on_look, files) < 0) {
        free(files);
        return fb_fail(cause, FB_IO, "event loop");
    }
    *ret_files = files;
    return FB_OK;
}

void page_files_free(struct page_files *files) {
    if (files == NULL)
        return;
    sd_event_source_disable_unref(files->timer);
    free(files);
}
