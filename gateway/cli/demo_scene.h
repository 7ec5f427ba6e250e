/* demo_scene.h - the scratch folder of `forebay demo`: keys and certificates, the simulated plant, the configuration.
 */
#ifndef FB_CLI_DEMO_SCENE_H
#define FB_CLI_DEMO_SCENE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/common/error.h"

enum { DEMO_PORTS = 4 };

struct demo_scene {
    char folder[PATH_MAX]; /* everything below it */
    char tests[PATH_MAX];  /* the source tree's tests: certificates and simulator come from there */
    uint16_t hall_ports[2], receiver_port, page_port;
    /* Sockets bound to the ports that were chosen. While they are open the kernel gives these ports to nobody who asks
     * for any port; servers that ask for them by number, with SO_REUSEADDR, get them. */
    int kept[DEMO_PORTS];
    size_t n_kept;
};

/* Make the folder's content. Blocks for the second that making keys takes. FB_NOT_FOUND: no source tree beside the
 * program. */
enum fb_error demo_scene_make(struct demo_scene *scene, const char *own_folder, struct fb_cause *cause) FB_MUST_USE;

/* Write forebay.yaml, with the instruments, or without any so that polling ends and all that is kept can be sent. */
enum fb_error demo_scene_configure(const struct demo_scene *scene, bool with_instruments,
                                   struct fb_cause *cause) FB_MUST_USE;

/* Give the ports back, when their servers have ended. */
void demo_scene_release(struct demo_scene *scene);

/* Remove the folder and all in it. */
void demo_scene_remove(const struct demo_scene *scene);

#endif
