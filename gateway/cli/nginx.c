#include "gateway/cli/nginx.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/common/file.h"
#include "gateway/common/protocol.h"

#define TEMPLATE "nginx.conf.in"
#define TEMPLATE_BYTES_MAX 65536
#define RESULT_BYTES_MAX 131072

enum fb_error nginx_find_pages(const char *own_folder, char *ret_folder, size_t size, struct fb_cause *cause) {
    static const char *const places[] = {"web", "../share/forebay/web"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char template[PATH_MAX];
        if ((size_t)snprintf(ret_folder, size, "%s/%s", own_folder, places[i]) >= size ||
            (size_t)snprintf(template, sizeof template, "%s/" TEMPLATE, ret_folder) >= sizeof template)
            return fb_fail(cause, FB_LIMIT, "%s: path too long", own_folder);
        if (access(template, R_OK) == 0)
            return FB_OK;
    }
    return fb_fail(cause, FB_NOT_FOUND, "the page's files are neither in %s/web nor in %s/../share/forebay/web",
                   own_folder, own_folder);
}

struct placeholder {
    const char *name;
    const char *value;
};

static const struct placeholder *find(const struct placeholder *all, size_t count, const char *at) {
    for (size_t i = 0; i < count; i++)
        if (strncmp(at, all[i].name, strlen(all[i].name)) == 0)
            return &all[i];
    return NULL;
}

static enum fb_error fill(const char *template, const struct placeholder *all, size_t count, char *ret_text,
                          size_t *ret_length, struct fb_cause *cause) {
    size_t used = 0;
    while (*template != '\0') {
        const struct placeholder *placeholder = *template == '@' ? find(all, count, template) : NULL;
        const char *piece = placeholder != NULL ? placeholder->value : template;
        const size_t length = placeholder != NULL ? strlen(piece) : 1;
        if (used + length >= RESULT_BYTES_MAX)
            return fb_fail(cause, FB_LIMIT, "nginx.conf would be too large");
        memcpy(ret_text + used, piece, length);
        used += length;
        template += placeholder != NULL ? strlen(placeholder->name) : 1;
    }
    *ret_length = used;
    return FB_OK;
}

static enum fb_error check_value(const char *value, struct fb_cause *cause) {
    if (strpbrk(value, "\"$\\\n\r{}") == NULL)
        return FB_OK;
    return fb_fail(cause, FB_INVALID, "%s: a path of the page must not hold any of \" $ \\ { }", value);
}

/* nginx started by root would run its workers as nobody, who cannot reach the run directory. */
static void user_line(char *ret_line, size_t size) {
    const struct passwd *user = geteuid() == 0 ? getpwuid(geteuid()) : NULL;
    ret_line[0] = '\0';
    if (user != NULL)
        snprintf(ret_line, size, "user %s;", user->pw_name);
}

enum fb_error nginx_write(const struct config *config, const char *pages, char *ret_file, size_t size,
                          struct fb_cause *cause) {
    char run[PATH_MAX], absolute_pages[PATH_MAX], web_socket[PATH_MAX + 16], template[PATH_MAX + 16];
    char port[8], listen[72], user[64];
    if (realpath(config->run, run) == NULL || realpath(pages, absolute_pages) == NULL)
        return fb_fail_errno(cause, FB_IO, errno, "%s or %s", config->run, pages);
    snprintf(web_socket, sizeof web_socket, "%s/" PROTOCOL_WEB_SOCKET, run);
    snprintf(template, sizeof template, "%s/" TEMPLATE, absolute_pages);
    snprintf(port, sizeof port, "%u", config->page.port);
    snprintf(listen, sizeof listen, strchr(config->page.listen, ':') != NULL ? "[%s]" : "%s", config->page.listen);
    user_line(user, sizeof user);
    const struct placeholder all[] = {
        {"@RUN@", run},
        {"@SOCKET@", web_socket},
        {"@PAGES@", absolute_pages},
        {"@LISTEN@", listen},
        {"@CERTIFICATE@", config->page.certificate},
        {"@KEY@", config->page.key},
        {"@PORT@", port},
        {"@USER@", user},
    };
    const size_t count = sizeof all / sizeof all[0];
    enum fb_error error = FB_OK;
    for (size_t i = 0; i < count && error == FB_OK; i++)
        error = check_value(all[i].value, cause);
    FB_CLEANUP(file_free) char *text = NULL;
    static char filled[RESULT_BYTES_MAX];
    size_t length;
    if (error == FB_OK)
        error = file_read(template, TEMPLATE_BYTES_MAX, &text, &length, cause);
    if (error == FB_OK)
        error = fill(text, all, count, filled, &length, cause);
    if (error == FB_OK)
        error = file_join(run, "nginx.conf", ret_file, size, cause);
    if (error == FB_OK)
        error = file_write(ret_file, filled, length, 0640, cause);
    return error;
}
