/* refusal.h - why a command from the cloud is not followed: the words of docs/commands.md. */
#ifndef FB_CORE_REFUSAL_H
#define FB_CORE_REFUSAL_H

enum refusal {
    REFUSAL_NONE,
    REFUSAL_UNKNOWN,       /* no signed command, or by no key that is pinned here; whoever sent it is told no more */
    REFUSAL_CLOCK,         /* this gateway's clock is not set: no time in a command can be judged */
    REFUSAL_MALFORMED,     /* signed, but not as docs/commands.md has it */
    REFUSAL_FOREIGN,       /* for another gateway */
    REFUSAL_EARLY,         /* issued in the future */
    REFUSAL_LATE,          /* it has expired, or was issued before nonces were kept */
    REFUSAL_REPLAYED,      /* its nonce was used */
    REFUSAL_NOT_PERMITTED, /* the plant's configuration does not list it */
    REFUSAL_TOO_MANY,      /* commands in a short time, or nonces to keep */
    REFUSAL_FAILED,        /* it was tried, and the reason says what went wrong */
};

/* "unknown", "clock-not-set", "malformed", "foreign", "early", "late", "replayed", "not-permitted", "too-many",
 * "failed". Static storage. */
const char *refusal_word(enum refusal refusal);

#endif
