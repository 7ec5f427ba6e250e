/* records.h - core's words for what is kept beside readings: who did what, what happened, which attempts were made to
 * communicate, which configurations were in force, what was proven. What cannot be kept is counted and shown in the
 * status; nothing here ever fails, blocks or ends anything. */
#ifndef FB_CORE_RECORDS_H
#define FB_CORE_RECORDS_H

#include <jansson.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "gateway/common/error.h"
#include "gateway/core/intake.h"
#include "store/store_records.h"

struct core;
struct records;

enum records_severity { RECORDS_INFO, RECORDS_WARNING, RECORDS_ALARM };

/* store and intake are borrowed. ret_records: yours, end it with records_free() before the intake. */
enum fb_error records_new(sd_event *event, struct store *store, struct intake *intake, struct records **ret_records,
                          struct fb_cause *cause) FB_MUST_USE;
/* What was held back is kept now. NULL is fine. */
void records_free(struct records *records);

/* For all: JSON is taken (its reference), and may be NULL. Without core->records nothing is kept. */

/* Somebody did something, or tried to. who: a user of this machine, or "page"; action: a call's name; outcome: "done",
 * or why not. Of very many alike within a minute the rest is counted. */
void records_audit(struct core *core, const char *who, const char *action, const char *outcome, json_t *details);
/* Somebody looks at what is stored, or at a bus (subject: its name, else ""): one entry in ten minutes for all alike,
 * though it takes many calls. */
void records_audit_look(struct core *core, const char *who, const char *action, const char *subject,
                        const char *outcome, json_t *details);
/* A state has changed. event: [a-z-]+. Of very many of one name within a minute the rest is counted. */
void records_event(struct core *core, enum records_severity severity, const char *event, json_t *details);
/* One attempt to communicate. */
void records_attempt(struct core *core, json_t *attempt);
/* Proof that a tag shows what its instrument displays. */
void records_proof(struct core *core, uint32_t tag, json_t *proof);
/* This document is in force from now on; kept unless it is the same as the last one. reason: "" when none was given. */
void records_configuration(struct core *core, const char *author, const char *reason, const char *document,
                           size_t length);
/* The same for one that the cloud proposes: kept and numbered with the others, marked "proposed", in force nowhere.
 * ret_number: its number. FB_FULL and others: it is not kept. (fsync) */
enum fb_error records_proposal(struct core *core, const char *author, const char *reason, const char *document,
                               size_t length, uint64_t *ret_number, struct fb_cause *cause) FB_MUST_USE;

/* For the status: {"waiting", "dropped", "reason", "audit": {"first", "last", "bytes", "quota_bytes", "head"}, ...}.
 * New reference. */
json_t *records_to_json(const struct records *records);

/* A kind by its plural word ("audit", "events", "attempts", "configurations", "proofs"); 0: there is none. */
enum store_record_kind records_kind(const char *word);

#endif
