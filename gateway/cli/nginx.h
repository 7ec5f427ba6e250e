/* nginx.h - nginx's configuration for the page, made of gateway/web/nginx.conf.in. */
#ifndef FB_CLI_NGINX_H
#define FB_CLI_NGINX_H

#include "gateway/common/error.h"
#include "gateway/config/config.h"

/* The templates and pages beside this program: "web" in its folder, or "../share/forebay/web". FB_NOT_FOUND. */
enum fb_error nginx_find_pages(const char *own_folder, char *ret_folder, size_t size,
                               struct fb_cause *cause) FB_MUST_USE;

/* Fill the template in the pages folder into RUN/nginx.conf, absolute paths throughout.
 * FB_INVALID: a path holds a character that nginx would take for its own. */
enum fb_error nginx_write(const struct config *config, const char *pages, char *ret_file, size_t size,
                          struct fb_cause *cause) FB_MUST_USE;

#endif
