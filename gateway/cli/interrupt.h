/* interrupt.h - Ctrl-C as a question that long commands ask themselves, so that they end tidily. */
#ifndef FB_CLI_INTERRUPT_H
#define FB_CLI_INTERRUPT_H

#include <stdbool.h>

/* From now on SIGINT and SIGTERM do not end the program; system calls that wait return early. */
void interrupt_catch(void);
bool interrupt_came(void);

#endif
