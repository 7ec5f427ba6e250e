/* jws_headers.h - the two headers that a signed command may begin with, as they stand in the message
 * (docs/commands.md). They are compared as they are: nothing of a header is ever parsed. Used by core and the command
 * that signs. */
#ifndef FB_COMMON_JWS_HEADERS_H
#define FB_COMMON_JWS_HEADERS_H

/* {"alg":"EdDSA","typ":"forebay-command"} and {"alg":"ES256","typ":"forebay-command"} in base64url. */
#define JWS_HEADER_EDDSA "eyJhbGciOiJFZERTQSIsInR5cCI6ImZvcmViYXktY29tbWFuZCJ9"
#define JWS_HEADER_ES256 "eyJhbGciOiJFUzI1NiIsInR5cCI6ImZvcmViYXktY29tbWFuZCJ9"
/* Each half of an ES256 signature. */
#define JWS_ES256_HALF 32

#endif
