/* exec_shim.c - preloaded into a gateway's programs: on SIGUSR1 a program tries to become a shell, as one that was
 * taken over would; on SIGUSR2 it tries to start one beside itself. */
#include <signal.h>
#include <unistd.h>

static char *const words[] = {"sh", "-c", "exit 42", NULL};

static void become(int number) {
    (void)number;
    execve("/bin/sh", words, NULL);
}

static void start(int number) {
    (void)number;
    if (fork() == 0)
        execve("/bin/sh", words, NULL);
}

__attribute__((constructor)) static void prepare(void) {
    signal(SIGUSR1, become);
    signal(SIGUSR2, start);
}
