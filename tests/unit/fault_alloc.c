#include "fault_alloc.h"

#include <errno.h>
#include <link.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The functions that ours stand before: AddressSanitizer's where it is there, else glibc's under their second names. */
#if defined(__SANITIZE_ADDRESS__)
#define REAL(name) __interceptor_##name
#else
#define REAL(name) __libc_##name
#endif
void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t count, size_t size);
void *REAL(realloc)(void *memory, size_t size);

static struct {
    uintptr_t crypto, crypto_end;
    uint64_t left;
    bool armed;
    bool paused;
    bool lasting;
    bool failed;
    bool of_crypto;
} world;

/* Where libcrypto's code lies. */
static int note_crypto(struct dl_phdr_info *library, size_t size, void *user) {
    (void)size;
    (void)user;
    for (int i = 0; strstr(library->dlpi_name, "libcrypto") != NULL && i < library->dlpi_phnum; i++) {
        if (!(library->dlpi_phdr[i].p_flags & PF_X) || library->dlpi_phdr[i].p_type != PT_LOAD)
            continue;
        world.crypto = library->dlpi_addr + library->dlpi_phdr[i].p_vaddr;
        world.crypto_end = world.crypto + library->dlpi_phdr[i].p_memsz;
    }
    return 0;
}

static bool fails(const void *caller) {
    if (!world.armed || world.paused || (world.failed && !world.lasting))
        return false;
    if (((uintptr_t)caller >= world.crypto && (uintptr_t)caller < world.crypto_end) != world.of_crypto)
        return false;
    if (!world.failed && --world.left > 0)
        return false;
    world.failed = true;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : REAL(malloc)(size);
}

void *calloc(size_t count, size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : REAL(calloc)(count, size);
}

void *realloc(void *memory, size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : REAL(realloc)(memory, size);
}

static void arm(uint64_t n, bool lasting, bool of_crypto) {
    dl_iterate_phdr(note_crypto, NULL);
    world.of_crypto = of_crypto;
    world.left = n;
    world.lasting = lasting;
    world.failed = false;
    world.armed = true;
}

void fault_alloc_fail(uint64_t n, bool lasting) {
    arm(n, lasting, false);
}

void fault_alloc_fail_crypto(uint64_t n, bool lasting) {
    arm(n, lasting, true);
}

void fault_alloc_pause(bool paused) {
    world.paused = paused;
}

bool fault_alloc_heal(void) {
    const bool failed = world.failed;
    world.armed = world.failed = false;
    return failed;
}
