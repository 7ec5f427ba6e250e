/* Engines are deprecated, and all that Debian 12 has for PKCS#11; this file is the only one that knows them. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "gateway/amqp/token_key.h"

#include <openssl/crypto.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/sha.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/common/file.h"
#include "gateway/common/pkcs11_uri.h"

#define PIN_BYTES_MAX 256

/* PKCS #11 v2.40, 3.1: what a token says to a PIN it does not take. libp11 hands these on as OpenSSL's reasons. */
#define CKR_PIN_FIRST 0xa0
#define CKR_PIN_LAST 0xa4

struct token {
    const struct pkcs11_uri *uri;
    const char *pin; /* "": none */
    bool asked;      /* the token has asked for it */
    bool refused;    /* and not taken it */
};

/* For the life of the process: neither can be unloaded without risk to what still uses it. */
static struct {
    char module[PKCS11_URI_MAX]; /* "": nothing is loaded yet */
    OSSL_PROVIDER *provider;     /* NULL: the engine */
    ENGINE *engine;
    UI_METHOD *questions;
    bool refused; /* refused_pin is the hash of URI and PIN that were refused last */
    uint8_t refused_pin[SHA256_DIGEST_LENGTH];
} loaded;

static int yes(UI *ui) {
    (void)ui;
    return 1;
}

static int say_nothing(UI *ui, UI_STRING *text) {
    (void)ui, (void)text;
    return 1;
}

/* OpenSSL asks here instead of on a terminal. A question without a token behind it gets no answer. */
static int answer(UI *ui, UI_STRING *question) {
    struct token *token = UI_get0_user_data(ui);
    if (UI_get_string_type(question) != UIT_PROMPT)
        return 1;
    if (token == NULL)
        return 0;
    token->asked = true;
    return token->pin[0] != '\0' && UI_set_result(ui, question, token->pin) == 0;
}

static enum fb_error prepare_questions(struct fb_cause *cause) {
    loaded.questions = UI_create_method("forebay");
    if (loaded.questions == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    UI_method_set_opener(loaded.questions, yes);
    UI_method_set_writer(loaded.questions, say_nothing);
    UI_method_set_reader(loaded.questions, answer);
    UI_method_set_closer(loaded.questions, yes);
    UI_set_default_method(loaded.questions);
    return FB_OK;
}

/* The provider must not take over what needs no token: its algorithms count only where the default has none. */
static bool load_provider(const char *module) {
    setenv("PKCS11_PROVIDER_MODULE", module, 1);
    loaded.provider = OSSL_PROVIDER_try_load(NULL, "pkcs11", 1);
    return loaded.provider != NULL && EVP_set_default_properties(NULL, "?provider=default") == 1;
}

static bool load_engine(const char *module) {
    ENGINE *engine = ENGINE_by_id("pkcs11");
    if (engine == NULL)
        return false;
    if (ENGINE_ctrl_cmd_string(engine, "MODULE_PATH", module, 0) != 1 || ENGINE_init(engine) != 1) {
        ENGINE_free(engine);
        return false;
    }
    loaded.engine = engine;
    return true;
}

static enum fb_error load_module(const char *module, struct fb_cause *cause) {
    if (loaded.module[0] != '\0' && strcmp(loaded.module, module) != 0)
        return fb_fail(cause, FB_INVALID, "module %s is in use; restart Forebay to change to %s", loaded.module,
                       module);
    if (loaded.module[0] != '\0')
        return FB_OK;
    if (access(module, R_OK) != 0)
        return fb_fail_errno(cause, FB_INVALID, errno, "module %s", module);
    if (loaded.questions == NULL && prepare_questions(cause) != FB_OK)
        return FB_MEMORY;
    if (!load_provider(module) && !load_engine(module))
        return fb_fail(cause, FB_INVALID,
                       "OpenSSL has no PKCS#11 here; install the package pkcs11-provider (Debian 13) or "
                       "libengine-pkcs11-openssl (Debian 12)");
    snprintf(loaded.module, sizeof loaded.module, "%s", module);
    return FB_OK;
}

/* The first private key that the token gives. */
static EVP_PKEY *search_store(struct token *token) {
    OSSL_STORE_CTX *store = OSSL_STORE_open(token->uri->object, loaded.questions, token, NULL, NULL);
    EVP_PKEY *key = NULL;
    if (store == NULL)
        return NULL;
    OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY);
    while (key == NULL && !OSSL_STORE_eof(store)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);
        if (info != NULL && OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
            key = OSSL_STORE_INFO_get1_PKEY(info);
        if (info == NULL && OSSL_STORE_error(store))
            break;
        OSSL_STORE_INFO_free(info);
    }
    OSSL_STORE_close(store);
    return key;
}

/* The provider gives no reason. But a token that took the PIN does not ask for it again. */
static EVP_PKEY *key_of_provider(struct token *token) {
    EVP_PKEY *key = search_store(token);
    if (key != NULL || !token->asked || token->pin[0] == '\0')
        return key;
    struct token again = {.uri = token->uri, .pin = ""};
    EVP_PKEY_free(search_store(&again));
    token->refused = again.asked;
    return NULL;
}

static EVP_PKEY *key_of_engine(struct token *token) {
    if (token->pin[0] != '\0')
        ENGINE_ctrl_cmd_string(loaded.engine, "PIN", token->pin, 0);
    EVP_PKEY *key = ENGINE_load_private_key(loaded.engine, token->uri->object, loaded.questions, token);
    unsigned long code;
    while (key == NULL && (code = ERR_get_error()) != 0)
        if (ERR_GET_LIB(code) != ERR_LIB_ENGINE && ERR_GET_REASON(code) >= CKR_PIN_FIRST &&
            ERR_GET_REASON(code) <= CKR_PIN_LAST)
            token->refused = true;
    return key;
}

static void hash_of(const struct token *token, uint8_t ret_hash[static SHA256_DIGEST_LENGTH]) {
    char text[PKCS11_URI_MAX + PIN_BYTES_MAX + 2];
    snprintf(text, sizeof text, "%s\n%s", token->uri->object, token->pin);
    SHA256((const unsigned char *)text, strlen(text), ret_hash);
    OPENSSL_cleanse(text, sizeof text);
}

static enum fb_error ask_token(struct token *token, const char *pin_file, EVP_PKEY **ret_key, struct fb_cause *cause) {
    uint8_t hash[SHA256_DIGEST_LENGTH];
    hash_of(token, hash);
    token->refused = loaded.refused && memcmp(hash, loaded.refused_pin, sizeof hash) == 0;
    if (token->refused)
        return fb_fail(cause, FB_INVALID,
                       "the token refused the PIN in %s; it is not tried again until that file changes, since tokens "
                       "lock themselves",
                       pin_file);
    *ret_key = loaded.provider != NULL ? key_of_provider(token) : key_of_engine(token);
    ERR_clear_error();
    loaded.refused = token->refused;
    memcpy(loaded.refused_pin, hash, sizeof hash);
    if (*ret_key != NULL)
        return FB_OK;
    if (token->refused)
        return fb_fail(cause, FB_INVALID, "the token refused the PIN in %s", pin_file);
    if (token->asked && token->pin[0] == '\0')
        return fb_fail(cause, FB_INVALID, "the token asks for a PIN; put it into a file and name that as key_pin_file");
    return fb_fail(cause, FB_INVALID, "no such token is there, or it has no such private key");
}

static enum fb_error read_pin(const char *path, char ret_pin[static PIN_BYTES_MAX], struct fb_cause *cause) {
    char *text = NULL;
    size_t length = 0;
    ret_pin[0] = '\0';
    if (path == NULL || path[0] == '\0')
        return FB_OK;
    if (file_read(path, PIN_BYTES_MAX - 1, &text, &length, cause) != FB_OK)
        return FB_INVALID; /* the cause names the file */
    const size_t used = strcspn(text, "\r\n");
    memcpy(ret_pin, text, used);
    ret_pin[used] = '\0';
    OPENSSL_cleanse(text, length);
    free(text);
    return used > 0 ? FB_OK : fb_fail(cause, FB_INVALID, "%s: holds no PIN in its first line", path);
}

enum fb_error token_key_load(const char *text, const char *pin_file, EVP_PKEY **ret_key, struct fb_cause *cause) {
    struct pkcs11_uri uri;
    char pin[PIN_BYTES_MAX];
    if (pkcs11_uri_read(text, &uri, cause) != FB_OK)
        return fb_context(cause, FB_INVALID, "%s", text);
    enum fb_error error = read_pin(pin_file, pin, cause);
    if (error != FB_OK)
        return error;
    struct token token = {.uri = &uri, .pin = pin};
    EVP_PKEY *key = NULL;
    error = load_module(uri.module, cause);
    if (error == FB_OK)
        error = ask_token(&token, pin_file, &key, cause);
    OPENSSL_cleanse(pin, sizeof pin);
    if (error != FB_OK)
        return fb_context(cause, error, "%s", uri.object);
    *ret_key = key;
    return FB_OK;
}
