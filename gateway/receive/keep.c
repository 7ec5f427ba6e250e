#include "gateway/receive/keep.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/common/file.h"
#include "gateway/common/hex.h"

void keep_name(uint64_t number, char ret_name[static KEEP_NAME_MAX]) {
    snprintf(ret_name, KEEP_NAME_MAX, "%020" PRIu64 ".batch", number);
}

bool keep_parse_name(const char *name, uint64_t *ret_number) {
    char again[KEEP_NAME_MAX];
    const uint64_t number = strtoull(name, NULL, 10);
    keep_name(number, again);
    *ret_number = number;
    return number > 0 && strcmp(again, name) == 0;
}

enum fb_error keep_batch(const char *folder, const struct batch_info *info, const uint8_t *bytes, size_t length,
                         struct fb_cause *cause) {
    char store[2 * BATCH_STORE_ID_BYTES + 1], name[KEEP_NAME_MAX], below[PATH_MAX], path[PATH_MAX];
    hex_encode(info->store_id, sizeof info->store_id, store);
    keep_name(info->number, name);
    enum fb_error error = file_join(folder, store, below, sizeof below, cause);
    if (error == FB_OK)
        error = file_make_folder(below, cause);
    if (error == FB_OK)
        error = file_join(below, name, path, sizeof path, cause);
    return error == FB_OK ? file_write(path, bytes, length, 0640, cause) : error;
}
