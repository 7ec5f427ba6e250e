#include "drivers/json_memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define CHUNK_BYTES ((size_t)64 * 1024)
#define ALIGNMENT ((size_t)16)

struct chunk {
    struct chunk *next;
    size_t bytes, used; /* this header included */
};

static struct chunk *newest;
static size_t pieces; /* that are not freed yet */

static size_t aligned(size_t bytes, size_t to) {
    return (bytes + to - 1) / to * to;
}

static struct chunk *add_chunk(size_t least) {
    const size_t bytes = aligned(least + aligned(sizeof(struct chunk), ALIGNMENT), CHUNK_BYTES);
    struct chunk *chunk = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED)
        return NULL;
    *chunk = (struct chunk){.next = newest, .bytes = bytes, .used = aligned(sizeof *chunk, ALIGNMENT)};
    newest = chunk;
    return chunk;
}

static void *take(size_t size) {
    if (size > SIZE_MAX / 2)
        return NULL;
    const size_t bytes = aligned(size, ALIGNMENT);
    struct chunk *chunk = newest;
    if (chunk == NULL || chunk->bytes - chunk->used < bytes)
        chunk = add_chunk(bytes);
    if (chunk == NULL)
        return NULL;
    void *piece = (unsigned char *)chunk + chunk->used;
    chunk->used += bytes;
    pieces++;
    return piece;
}

static void give_back(void *piece) {
    if (piece != NULL && --pieces == 0)
        json_memory_forget();
}

void json_memory_use(void) {
    json_set_alloc_funcs(take, give_back);
}

void json_memory_forget(void) {
    pieces = 0;
    while (newest != NULL) {
        struct chunk *chunk = newest;
        newest = chunk->next;
        munmap(chunk, chunk->bytes);
    }
}

char *json_memory_text(const json_t *json, size_t flags) {
    const size_t length = json_dumpb(json, NULL, 0, flags);
    char *text = length > 0 ? malloc(length + 1) : NULL;
    if (text == NULL)
        return NULL;
    json_dumpb(json, text, length, flags);
    text[length] = '\0';
    return text;
}
