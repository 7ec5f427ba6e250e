/* rekey_disk.h - the disk under the tests of a store's change of the key: always has room, or not; can kill the process
 * before a step that reaches it; and fails the test when something takes its place before what it stands on is on disk,
 * which only a power cut would take.
 *
 * Stands before the C library's rename(), unlink(), link(), fsync() and statvfs(). */
#ifndef FB_TESTS_REKEY_DISK_H
#define FB_TESTS_REKEY_DISK_H

#include <stdbool.h>

/* Watch the copy's own writes and fsyncs too, from now on, with nothing that waits for one. Uses fault_vfs, whose
 * observer it becomes until rekey_disk_unwatch(). */
void rekey_disk_watch(void);
void rekey_disk_unwatch(void);

/* The process dies before the n-th step from now on (1: the next). */
void rekey_disk_die_at(unsigned n);

/* Whether the disk has room for a copy; it has at first. */
void rekey_disk_set_room(bool has_room);

#endif
