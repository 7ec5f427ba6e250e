/* clock_shim.c - preloaded into a gateway's programs, it moves their UTC clock, and nothing else's, by what a file says
 * at any moment: three 64-bit numbers, milliseconds to add, whether the kernel calls the clock synchronised, and
 * whether time() moves, too, by which OpenSSL judges certificates. FOREBAY_TEST_CLOCK names the file. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

struct setting {
    volatile int64_t ahead_ms;
    volatile int64_t synchronised;
    volatile int64_t certificates;
};

static const struct setting *setting;
static int (*real_gettime)(clockid_t id, struct timespec *ret_time);

__attribute__((constructor)) static void begin(void) {
    void *symbol = dlsym(RTLD_NEXT, "clock_gettime");
    memcpy(&real_gettime, &symbol, sizeof real_gettime);
    const char *path = getenv("FOREBAY_TEST_CLOCK");
    const int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        abort();
    setting = mmap(NULL, sizeof *setting, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (setting == MAP_FAILED)
        abort();
}

int clock_gettime(clockid_t id, struct timespec *ret_time) {
    if (real_gettime == NULL)
        begin();
    const int result = real_gettime(id, ret_time);
    if (id != CLOCK_REALTIME || result != 0)
        return result;
    const int64_t now_ns = ret_time->tv_sec * INT64_C(1000000000) + ret_time->tv_nsec + setting->ahead_ms * 1000000;
    ret_time->tv_sec = now_ns / 1000000000;
    ret_time->tv_nsec = now_ns % 1000000000;
    return 0;
}

time_t time(time_t *ret_time) {
    struct timespec now;
    if (real_gettime == NULL)
        begin();
    if (setting->certificates)
        clock_gettime(CLOCK_REALTIME, &now);
    else
        real_gettime(CLOCK_REALTIME, &now);
    if (ret_time != NULL)
        *ret_time = now.tv_sec;
    return now.tv_sec;
}

int adjtimex(struct timex *timex) {
    timex->status = setting->synchronised ? 0 : STA_UNSYNC;
    return setting->synchronised ? TIME_OK : TIME_ERROR;
}
