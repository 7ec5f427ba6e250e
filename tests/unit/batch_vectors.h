/* batch_vectors.h - what the kept batches and catalogues of tests/data/batch hold. */
#ifndef FB_TESTS_BATCH_VECTORS_H
#define FB_TESTS_BATCH_VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/batch.h"
#include "store/catalogue.h"

/* The vector's name and its message; false behind the last one. ret_bytes: BATCH_BYTES_MAX of room. */
bool batch_vector(size_t index, const char **ret_name, uint8_t *ret_bytes, size_t *ret_length);

#endif
