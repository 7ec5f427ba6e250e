/* replay.c - main() for a fuzz target built without libFuzzer: runs it over every file named, or in the folders named.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gateway/common/file.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

#define INPUT_BYTES_MAX (8u * 1024 * 1024)

static unsigned replayed;

static int replay_file(const char *path) {
    FB_CLEANUP(file_free) char *data = NULL;
    size_t length;
    struct fb_cause cause;
    if (file_read(path, INPUT_BYTES_MAX, &data, &length, &cause) != FB_OK) {
        fprintf(stderr, "%s\n", cause.text);
        return 1;
    }
    LLVMFuzzerTestOneInput((const unsigned char *)data, length);
    replayed++;
    return 0;
}

static int replay_folder(const char *folder) {
    struct dirent **entries;
    const int count = scandir(folder, &entries, NULL, alphasort);
    int failed = count < 0;
    for (int i = 0; i < count; i++) {
        char path[4096];
        if (entries[i]->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
            failed |= replay_file(path);
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return failed;
}

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        struct stat status;
        const int is_folder = stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode);
        failed |= is_folder ? replay_folder(argv[i]) : replay_file(argv[i]);
    }
    printf("%s: replayed %u inputs\n", argv[0], replayed);
    return failed || replayed == 0;
}
