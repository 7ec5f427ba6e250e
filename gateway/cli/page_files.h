/* page_files.h - the page's certificate and key, watched: nginx reads renewed ones only when it is told to. Used by
 * forebay-run, on its event loop. */
#ifndef FB_CLI_PAGE_FILES_H
#define FB_CLI_PAGE_FILES_H

#include <systemd/sd-event.h>

#include "gateway/common/error.h"

/* So often they are looked at, as those of the link are. */
#define PAGE_FILES_LOOK_MS 5000

struct page_files;

/* changed: one of them has another content than before. Paths are borrowed until page_files_free(), which ret_files
 * wants. */
enum fb_error page_files_watch(sd_event *event, const char *certificate, const char *key, void (*changed)(void *user),
                               void *user, struct page_files **ret_files, struct fb_cause *cause) FB_MUST_USE;
void page_files_free(struct page_files *files); /* NULL is fine */

#endif
