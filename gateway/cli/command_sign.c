/* command_sign.c - `forebay command sign`: makes a signed command for a gateway (docs/commands.md). Runs wherever the
 * private key is, which is never a gateway. */
#include <getopt.h>
#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/command.h"
#include "gateway/cli/options.h"
#include "gateway/common/base64url.h"
#include "gateway/common/clock.h"
#include "gateway/common/error.h"
#include "gateway/common/file.h"
#include "gateway/common/jws_headers.h"
#include "gateway/common/plant.h"

#define NONCE_BYTES 16
#define MINUTES_STANDARD 5
#define MINUTES_MAX 60
#define DOCUMENT_BYTES_MAX 65536
#define SIGNATURE_BYTES 64
#define DER_BYTES_MAX 80

static const char help[] = "Usage: forebay command sign --key FILE --gateway NAME [--minutes N] [--document FILE]\n"
                           "                            COMMAND [ARGUMENTS]\n"
                           "\n"
                           "Prints a signed command, to be sent as the body of one AMQP message (docs/commands.md).\n"
                           "\n"
                           "  COMMAND          status, catalogue, read-now, backfill, log-level or configuration\n"
                           "  ARGUMENTS        a JSON object, like '{\"instrument\": \"turbidity-1\"}'\n"
                           "  --key FILE       the private key: Ed25519 or P-256, in PEM\n"
                           "  --gateway NAME   for which gateway\n"
                           "  --minutes N      how long it is valid, 1 to 60 (default 5)\n"
                           "  --document FILE  becomes the argument \"document\" (of configuration)\n"
                           "  --help           show this\n";

struct arguments {
    const char *key, *gateway, *document, *command, *json;
    unsigned minutes;
};

static int wrong(void) {
    fputs(help, stderr);
    return 2;
}

/* -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct arguments *arguments) {
    static const struct option options[] = {
        {"key", required_argument, NULL, 'k'},     {"gateway", required_argument, NULL, 'g'},
        {"minutes", required_argument, NULL, 'm'}, {"document", required_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},          {0}};
    int option;
    bool good = true;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h')
            return fputs(help, stdout) < 0;
        if (option == 'k')
            arguments->key = optarg;
        else if (option == 'g')
            arguments->gateway = optarg;
        else if (option == 'd')
            arguments->document = optarg;
        else
            good = option == 'm' && good && options_number(optarg, 1, MINUTES_MAX, &arguments->minutes);
    }
    const int words = argc - optind;
    if (!good || arguments->key == NULL || arguments->gateway == NULL || words < 1 || words > 2)
        return wrong();
    arguments->command = argv[optind];
    arguments->json = words == 2 ? argv[optind + 1] : "{}";
    return -1;
}

static enum fb_error add_document(json_t *object, const char *file, struct fb_cause *cause) {
    FB_CLEANUP(file_free) char *text = NULL;
    size_t length;
    const enum fb_error error = file_read(file, DOCUMENT_BYTES_MAX, &text, &length, cause);
    if (error == FB_OK && json_object_set_new(object, "document", json_stringn(text, length)) < 0)
        return fb_fail(cause, FB_INVALID, "%s: not UTF-8", file);
    return error;
}

/* ret_claims: new reference. */
static enum fb_error make_claims(const struct arguments *arguments, json_t **ret_claims, struct fb_cause *cause) {
    uint8_t nonce[NONCE_BYTES];
    char text[BASE64URL_TEXT_BYTES(NONCE_BYTES)];
    json_t *object = json_loads(arguments->json, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(object) || RAND_bytes(nonce, sizeof nonce) != 1) {
        json_decref(object);
        return fb_fail(cause, FB_INVALID, "ARGUMENTS is no JSON object");
    }
    const enum fb_error error = arguments->document != NULL ? add_document(object, arguments->document, cause) : FB_OK;
    if (error != FB_OK) {
        json_decref(object);
        return error;
    }
    base64url_encode(nonce, sizeof nonce, text);
    const json_int_t now_s = clock_utc_ms() / 1000;
    *ret_claims =
        json_pack("{s:s, s:s, s:I, s:I, s:s, s:o}", "gateway", arguments->gateway, "nonce", text, "iat", now_s, "exp",
                  now_s + (json_int_t)arguments->minutes * 60, "command", arguments->command, "arguments", object);
    return *ret_claims != NULL ? FB_OK : fb_fail(cause, FB_INVALID, "not UTF-8, or out of memory");
}

static enum fb_error load_key(const char *file, EVP_PKEY **ret_key, struct fb_cause *cause) {
    FILE *stream = fopen(file, "re");
    if (stream == NULL)
        return fb_fail(cause, FB_NOT_FOUND, "%s: cannot be read", file);
    *ret_key = PEM_read_PrivateKey(stream, NULL, NULL, NULL);
    fclose(stream);
    return *ret_key != NULL ? FB_OK : fb_fail(cause, FB_INVALID, "%s: no private key in PEM", file);
}

/* From OpenSSL's DER to two numbers of 32 bytes (RFC 7518 section 3.4). */
static bool to_raw(const uint8_t *der, size_t length, uint8_t ret_raw[static SIGNATURE_BYTES]) {
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)length);
    const bool good =
        signature != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(signature), ret_raw, JWS_ES256_HALF) == JWS_ES256_HALF &&
        BN_bn2binpad(ECDSA_SIG_get0_s(signature), ret_raw + JWS_ES256_HALF, JWS_ES256_HALF) == JWS_ES256_HALF;
    ECDSA_SIG_free(signature);
    return good;
}

static bool sign_text(EVP_PKEY *key, bool raw, const char *text, uint8_t ret_signature[static SIGNATURE_BYTES]) {
    uint8_t bytes[DER_BYTES_MAX];
    size_t length = sizeof bytes;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const bool good = context != NULL && EVP_DigestSignInit(context, NULL, raw ? NULL : EVP_sha256(), NULL, key) == 1 &&
                      EVP_DigestSign(context, bytes, &length, (const unsigned char *)text, strlen(text)) == 1;
    EVP_MD_CTX_free(context);
    if (!good || (raw && length != SIGNATURE_BYTES))
        return false;
    if (!raw)
        return to_raw(bytes, length, ret_signature);
    memcpy(ret_signature, bytes, SIGNATURE_BYTES);
    return true;
}

static enum fb_error print_token(EVP_PKEY *key, const char *payload, struct fb_cause *cause) {
    const bool raw = EVP_PKEY_is_a(key, "ED25519");
    const char *header = raw ? JWS_HEADER_EDDSA : JWS_HEADER_ES256;
    const size_t used = strlen(header) + 1;
    uint8_t signature[SIGNATURE_BYTES];
    char signed_with[BASE64URL_TEXT_BYTES(SIGNATURE_BYTES)];
    FB_CLEANUP(file_free) char *text = malloc(used + BASE64URL_TEXT_BYTES(strlen(payload)));
    if (text == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    memcpy(text, header, used - 1);
    text[used - 1] = '.';
    base64url_encode((const uint8_t *)payload, strlen(payload), text + used);
    if (!sign_text(key, raw, text, signature))
        return fb_fail(cause, FB_INVALID, "the key is neither Ed25519 nor of the curve P-256");
    base64url_encode(signature, sizeof signature, signed_with);
    return printf("%s.%s\n", text, signed_with) > 0 ? FB_OK : fb_fail(cause, FB_IO, "standard output");
}

static enum fb_error sign(const struct arguments *arguments, struct fb_cause *cause) {
    EVP_PKEY *key = NULL;
    json_t *claims = NULL;
    enum fb_error error = load_key(arguments->key, &key, cause);
    if (error == FB_OK)
        error = make_claims(arguments, &claims, cause);
    if (error == FB_OK) {
        char *payload = json_dumps(claims, JSON_COMPACT);
        error = payload != NULL ? print_token(key, payload, cause) : fb_fail(cause, FB_MEMORY, "out of memory");
        free(payload);
    }
    json_decref(claims);
    EVP_PKEY_free(key);
    return error;
}

int command_main(int argc, char **argv) {
    struct arguments arguments = {.minutes = MINUTES_STANDARD};
    if (argc >= 2 && strcmp(argv[1], "--help") == 0)
        return fputs(help, stdout) < 0;
    if (argc < 2 || strcmp(argv[1], "sign") != 0)
        return wrong();
    const int done = parse(argc - 1, argv + 1, &arguments);
    if (done >= 0)
        return done;
    struct fb_cause cause;
    if (sign(&arguments, &cause) == FB_OK)
        return EXIT_SUCCESS;
    fprintf(stderr, "forebay: %s\n", cause.text);
    return EXIT_FAILURE;
}
