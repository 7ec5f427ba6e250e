/* resident.h - gives back what only the start needed. Used by the programs that run for years.
 *
 * Starting (reading the configuration, opening the store, the first handshake) touches pages of code and tables that
 * are hardly used again; the kernel maps sixteen at a time and never takes them back while memory is plenty. Clean
 * pages cost nothing to give back: what is needed again comes from the page cache. */
#ifndef FB_COMMON_RESIDENT_H
#define FB_COMMON_RESIDENT_H

#include <stdint.h>
#include <systemd/sd-event.h>

#define RESIDENT_SETTLED_US UINT64_C(10000000) /* a program that has run for so long has settled */

/* Unmaps the clean pages of the program and its libraries, and free heap. Costs a few hundred page faults afterwards.
 */
void resident_release(void);

/* The same, once, when the loop has run for RESIDENT_SETTLED_US. Negative errno on failure. */
int resident_release_later(sd_event *event);

#endif
