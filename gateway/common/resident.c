/* resident.c - gives back what only the start needed. */
#include "gateway/common/resident.h"

#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define ACCURACY_US UINT64_C(1000000)

/* Segments that nobody may write are as they are on disk, unless the loader had to relocate in them. */
static bool is_relocated_in_place(const struct dl_phdr_info *object) {
    for (unsigned i = 0; i < object->dlpi_phnum; i++) {
        if (object->dlpi_phdr[i].p_type != PT_DYNAMIC)
            continue;
        for (const ElfW(Dyn) *entry = (const ElfW(Dyn) *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
             entry->d_tag != DT_NULL; entry++)
            if (entry->d_tag == DT_TEXTREL || (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL) != 0))
                return true;
    }
    return false;
}

static int release_object(struct dl_phdr_info *object, size_t size, void *user) {
    (void)size;
    (void)user;
    if (is_relocated_in_place(object))
        return 0;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (unsigned i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) != 0)
            continue;
        const uintptr_t from = (object->dlpi_addr + segment->p_vaddr) & ~(page - 1);
        const uintptr_t to = object->dlpi_addr + segment->p_vaddr + segment->p_memsz;
        madvise((void *)from, to - from, MADV_DONTNEED); /* refused for the vdso, which is no file */
    }
    return 0;
}

void resident_release(void) {
    malloc_trim(0);
    dl_iterate_phdr(release_object, NULL);
}

static int on_time(sd_event_source *source, uint64_t now_us, void *user) {
    (void)source;
    (void)now_us;
    (void)user;
    resident_release();
    return 0;
}

int resident_release_later(sd_event *event) {
    return sd_event_add_time_relative(event, NULL, CLOCK_MONOTONIC, RESIDENT_SETTLED_US, ACCURACY_US, on_time, NULL);
}
