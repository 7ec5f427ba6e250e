/* verify_audit.h - `forebay verify --audit`: walks the chain of the audit's records. */
#ifndef FB_CLI_VERIFY_AUDIT_H
#define FB_CLI_VERIFY_AUDIT_H

/* Check the audit of the gateway whose sockets are in the run directory, and print what was found. head: as printed by
 * an earlier check, or NULL. Exit status: 0 all good, 1 something is wrong or could not be checked, 2 head is none. */
int verify_audit(const char *run, const char *head);

#endif
