/* json_memory.h - memory for JSON apart from the heap, used by forebay-field. Its workers inherit the parent's heap:
 * small remains of large messages all over it, which the C library keeps for quick reuse, would cost each of a hundred
 * workers ten pages. Here all goes back to the system as soon as no JSON is left. One thread. */
#ifndef FB_DRIVERS_JSON_MEMORY_H
#define FB_DRIVERS_JSON_MEMORY_H

#include <jansson.h>

/* From now on JSON is made there; before any is. */
void json_memory_use(void);

/* In a new process: what its parent had of JSON is gone. */
void json_memory_forget(void);

/* The JSON as text on the heap, free() it; NULL when out of memory. flags: those of json_dumps(). */
char *json_memory_text(const json_t *json, size_t flags);

#endif
