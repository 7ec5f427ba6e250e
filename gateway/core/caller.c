#include "gateway/core/caller.h"

#include <pwd.h>
#include <stdio.h>
#include <sys/socket.h>

#define LINE_BYTES_MAX 1024
#define USERS_MOST 10000

uid_t caller_of(int descriptor) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 ? peer.uid : (uid_t)-1;
}

void caller_name(uid_t user, char ret_name[static CALLER_NAME_MAX]) {
    char line[LINE_BYTES_MAX];
    struct passwd entry, *found = NULL;
    snprintf(ret_name, CALLER_NAME_MAX, "user %lld", (long long)(int)user);
    FILE *file = fopen("/etc/passwd", "re");
    for (int i = 0; file != NULL && i < USERS_MOST && fgetpwent_r(file, &entry, line, sizeof line, &found) == 0; i++)
        if (entry.pw_uid == user) {
            snprintf(ret_name, CALLER_NAME_MAX, "%s", entry.pw_name);
            break;
        }
    if (file != NULL)
        fclose(file);
}
