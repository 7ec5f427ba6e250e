// links: gateway/amqp/amqp.c gateway/amqp/certificate.c gateway/amqp/codec.c gateway/amqp/connect.c gateway/amqp/delivery.c gateway/amqp/events.c gateway/amqp/pump.c gateway/amqp/resolve.c gateway/amqp/sasl.c gateway/amqp/side.c gateway/amqp/tls.c gateway/amqp/tls_text.c gateway/amqp/trust.c gateway/common/backoff.c gateway/common/clock.c gateway/common/error.c tests/unit/amqp_world.c tests/unit/pki.c gateway/amqp/crl.c gateway/amqp/private_key.c gateway/amqp/token_key.c gateway/amqp/validity.c gateway/amqp/verify.c gateway/common/file.c gateway/common/pin.c gateway/common/pkcs11_uri.c gateway/amqp/cbs.c gateway/amqp/sas_token.c gateway/amqp/put_token.c
/* Trust beyond authority, name and dates: pins, lists of revoked certificates, a key in a token. */
#include <dlfcn.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/common/pin.h"
#include "tests/unit/amqp_world.h"
#include "tests/unit/pki.h"

#ifdef __SANITIZE_ADDRESS__
/* The PKCS#11 provider of Debian 13 loads the token's library with RTLD_DEEPBIND, with which the sanitizer ends every
 * program. */
void *dlopen(const char *path, int flags) {
    void *(*next)(const char *, int);
    *(void **)&next = dlsym(RTLD_NEXT, "dlopen");
    return next(path, flags & ~RTLD_DEEPBIND);
}
#endif

#define TOKEN_MODULE "/usr/lib/softhsm/libsofthsm2.so"
#define TOKEN_KEY(object) "pkcs11:token=plant;object=" object "?module-path=" TOKEN_MODULE

/* A world whose server has a certificate of an authority that is still there to revoke it. */
struct plant {
    struct world world;
    struct pki_authority authority;
    char other_pin[PIN_TEXT_MAX];
};

static int open_plant(void **state) {
    struct plant *plant = calloc(1, sizeof *plant);
    world_open(&plant->world);
    plant->authority = pki_authority_make(plant->world.folder, "plant-ca");
    const struct pki_request server = {.name = "plant-server", .names = "IP:127.0.0.1"};
    const struct pki_request client = {.name = "plant-client"};
    pki_issue(plant->world.folder, &plant->authority, &server);
    pki_issue(plant->world.folder, &plant->authority, &client);
    pki_pin(plant->world.folder, "client", plant->other_pin);
    world_trust(&plant->world, &plant->world.server, "plant-ca", "plant-server");
    *state = plant;
    return 0;
}

static int close_plant(void **state) {
    struct plant *plant = *state;
    world_close(&plant->world);
    pki_authority_done(&plant->authority);
    free(plant);
    return 0;
}

static struct amqp_trust_settings client_settings(const struct plant *plant) {
    return world_trust_settings(&plant->world, "plant-ca", "plant-client", false);
}

static void use(struct plant *plant, const struct amqp_trust_settings *settings) {
    struct fb_cause cause = {""};
    amqp_trust_free(plant->world.client.trust);
    plant->world.client.trust = NULL;
    if (amqp_trust_load(settings, &plant->world.client.trust, &cause) != FB_OK)
        fail_msg("%s", cause.text);
}

static void comes_up(struct plant *plant) {
    struct world *world = &plant->world;
    world->client.step = AMQP_DNS;
    world_connect(world);
    world_run_to_step(world, AMQP_UP);
    amqp_free(world->client.amqp);
    world->client.amqp = NULL;
    world_run_until(world, &world->server.closed);
}

static void refuses(struct plant *plant, const char *text) {
    world_expect_refusal(&plant->world, AMQP_TLS, text);
    world_run_until(&plant->world, &plant->world.server.closed);
}

static void the_pin_of_the_peer_or_of_its_issuer_is_enough(void **state) {
    struct plant *plant = *state;
    char own[PIN_TEXT_MAX], issuer[PIN_TEXT_MAX];
    pki_pin(plant->world.folder, "plant-server", own);
    pki_pin(plant->world.folder, "plant-ca", issuer);
    struct amqp_trust_settings settings = client_settings(plant);
    settings.pins[0] = own;
    use(plant, &settings);
    comes_up(plant);
    settings.pins[0] = plant->other_pin;
    settings.pins[1] = issuer;
    use(plant, &settings);
    comes_up(plant);
}

static void without_a_pinned_key_the_reason_tells_the_one_presented(void **state) {
    struct plant *plant = *state;
    char own[PIN_TEXT_MAX], text[256];
    pki_pin(plant->world.folder, "plant-server", own);
    struct amqp_trust_settings settings = client_settings(plant);
    settings.pins[0] = plant->other_pin;
    use(plant, &settings);
    snprintf(text, sizeof text,
             "certificate of plant-server is good, but no key of its chain is among the pins; its own is %s", own);
    refuses(plant, text);
}

static void a_pin_does_not_stand_in_for_the_authority(void **state) {
    struct plant *plant = *state;
    char own[PIN_TEXT_MAX];
    pki_pin(plant->world.folder, "plant-server", own);
    struct amqp_trust_settings settings = world_trust_settings(&plant->world, "ca", "plant-client", false);
    settings.pins[0] = own;
    use(plant, &settings);
    refuses(plant, " was issued by /CN=plant-ca, which is not among the authorities in ");
}

static void only_a_list_in_force_of_the_issuer_lets_the_peer_in(void **state) {
    struct plant *plant = *state;
    const char *folder = plant->world.folder;
    struct pki_authority other = pki_authority_make(folder, "third-ca");
    pki_revoke(folder, &plant->authority, "crl-good", "plant-client", -1, 7);
    pki_revoke(folder, &plant->authority, "crl-revoked", "plant-server", -1, 7);
    pki_revoke(folder, &plant->authority, "crl-old", NULL, -9, -2);
    pki_revoke(folder, &plant->authority, "crl-early", NULL, 2, 9);
    pki_revoke(folder, &other, "crl-other", NULL, -1, 7);
    pki_authority_done(&other);
    static const struct {
        const char *crl, *text; /* NULL: comes up */
    } cases[] = {
        {"crl-good", NULL},
        {"crl-revoked", "certificate of plant-server was revoked on 20"},
        {"crl-old", "list of revoked certificates of plant-ca expired on 20"},
        {"crl-early", "list of revoked certificates of plant-ca is not valid before 20"},
        {"crl-other", "revocation of plant-server cannot be checked: there is no list of revoked certificates of "
                      "plant-ca"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct amqp_trust_settings settings = client_settings(plant);
        settings.crls[0] = world_path(&plant->world, cases[i].crl, "pem");
        use(plant, &settings);
        if (cases[i].text == NULL)
            comes_up(plant);
        else
            refuses(plant, cases[i].text);
    }
    struct amqp_trust_settings settings = client_settings(plant);
    settings.crls[0] = world_path(&plant->world, "crl-other", "pem");
    settings.crls[1] = world_path(&plant->world, "crl-good", "pem");
    use(plant, &settings);
    comes_up(plant);
}

static void a_server_checks_its_clients_the_same_way(void **state) {
    struct plant *plant = *state;
    pki_revoke(plant->world.folder, &plant->authority, "crl", "plant-client", -1, 7);
    struct amqp_trust_settings client = client_settings(plant);
    use(plant, &client);
    struct amqp_trust_settings server = world_trust_settings(&plant->world, "plant-ca", "plant-server", true);
    server.crls[0] = world_path(&plant->world, "crl", "pem");
    struct fb_cause cause;
    amqp_trust_free(plant->world.server.trust);
    assert_int_equal(amqp_trust_load(&server, &plant->world.server.trust, &cause), FB_OK);
    refuses(plant, "the peer refused with TLS alert 44 (certificate revoked): our certificate is revoked");
    assert_non_null(strstr(plant->world.server.reason, "certificate of plant-client was revoked on 20"));
}

static void the_presented_chain_is_known_even_when_it_is_refused(void **state) {
    struct plant *plant = *state;
    struct amqp_trust_settings settings = client_settings(plant);
    settings.pins[0] = plant->other_pin;
    use(plant, &settings);
    refuses(plant, "among the pins");
    const struct validity_list *chain = &plant->world.client.peer_chain;
    assert_int_equal(chain->count, 2);
    assert_string_equal(chain->entries[1].subject, "plant-ca");
    assert_string_equal(chain->entries[0].subject, "plant-server");
    assert_true(chain->entries[0].until_ms - chain->entries[0].from_ms == INT64_C(2) * 24 * 3600 * 1000);
}

static void expect_unusable(const struct amqp_trust_settings *settings, const char *text) {
    struct amqp_trust *trust = NULL;
    struct fb_cause cause;
    assert_int_equal(amqp_trust_load(settings, &trust, &cause), FB_INVALID);
    if (strstr(cause.text, text) == NULL)
        fail_msg("expected \"%s\", got \"%s\"", text, cause.text);
    assert_null(strstr(cause.text, "4711"));
}

static void unusable_lists_and_pins_are_named(void **state) {
    struct plant *plant = *state;
    struct amqp_trust_settings settings = client_settings(plant);
    settings.crls[0] = "/nowhere/crl.pem";
    expect_unusable(&settings, "/nowhere/crl.pem: No such file or directory");
    settings.crls[0] = world_path(&plant->world, "plant-ca", "pem");
    expect_unusable(&settings, "plant-ca.pem: holds no list of revoked certificates in PEM form");
    settings.crls[0] = NULL;
    settings.pins[0] = "sha256:";
    expect_unusable(&settings, "pin sha256:: is no pin");
}

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *format, ...) {
    char command[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    assert_int_equal(system(command), 0);
}

static void write_file(const struct plant *plant, const char *name, const char *ending, const char *text) {
    FILE *file = fopen(world_path(&plant->world, name, ending), "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* A token with the keys of plant-client, as "gateway", and of plant-server, as "server". Its PIN is 4711. */
static void make_token(const struct plant *plant) {
    const char *folder = plant->world.folder;
    char conf[256];
    snprintf(conf, sizeof conf, "directories.tokendir = %s/tokens\nlog.level = ERROR\n", folder);
    write_file(plant, "softhsm2", "conf", conf);
    write_file(plant, "pin", "txt", "4711\n");
    setenv("SOFTHSM2_CONF", world_path(&plant->world, "softhsm2", "conf"), 1);
    run("mkdir %s/tokens && softhsm2-util --init-token --free --label plant --so-pin 12345678 --pin 4711 >/dev/null",
        folder);
    run("softhsm2-util --import %s/plant-client.key --token plant --label gateway --id 01 --pin 4711 >/dev/null",
        folder);
    run("softhsm2-util --import %s/plant-server.key --token plant --label server --id 02 --pin 4711 >/dev/null",
        folder);
}

/* One test: the module sees the tokens of its first start only. */
static void a_key_in_a_token_signs_and_every_trouble_has_its_reason(void **state) {
    struct plant *plant = *state;
    make_token(plant);
    struct amqp_trust_settings settings = client_settings(plant);

    settings.key = "pkcs11:token=plant;object=gateway?module-path=/nowhere/module.so";
    expect_unusable(&settings, "module /nowhere/module.so: No such file or directory");
    settings.key = TOKEN_KEY("gateway");
    settings.key_pin_file = "/nowhere/pin";
    expect_unusable(&settings, "/nowhere/pin: No such file or directory");

    settings.key_pin_file = NULL;
    expect_unusable(&settings, "the token asks for a PIN; put it into a file and name that as key_pin_file");

    write_file(plant, "wrong-pin", "txt", "0815\n");
    settings.key_pin_file = world_path(&plant->world, "wrong-pin", "txt");
    expect_unusable(&settings, "the token refused the PIN in ");
    expect_unusable(&settings, "it is not tried again until that file changes, since tokens lock themselves");
    write_file(plant, "wrong-pin", "txt", "4711\n");
    use(plant, &settings);
    comes_up(plant);

    settings.key = TOKEN_KEY("server");
    expect_unusable(&settings, "does not belong to the certificate");
    settings.key = TOKEN_KEY("nobody");
    expect_unusable(&settings, "pkcs11:token=plant;object=nobody;type=private: no such token is there, or it has no");
    settings.key = "pkcs11:token=elsewhere;object=gateway?module-path=" TOKEN_MODULE;
    expect_unusable(&settings, "no such token is there, or it has no such private key");
    settings.key = "pkcs11:token=plant;object=gateway?module-path=/bin/true";
    expect_unusable(&settings, "module " TOKEN_MODULE " is in use; restart Forebay to change to /bin/true");

    settings.key = TOKEN_KEY("gateway");
    size_t bytes = 0;
    for (unsigned i = 0; i < 300; i++) {
        if (i == 100)
            bytes = mallinfo2().uordblks;
        use(plant, &settings);
    }
    assert_in_range(mallinfo2().uordblks, 0, bytes + 16384);
    comes_up(plant);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_plant, close_plant)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_pin_of_the_peer_or_of_its_issuer_is_enough),
        TEST(without_a_pinned_key_the_reason_tells_the_one_presented),
        TEST(a_pin_does_not_stand_in_for_the_authority),
        TEST(only_a_list_in_force_of_the_issuer_lets_the_peer_in),
        TEST(a_server_checks_its_clients_the_same_way),
        TEST(the_presented_chain_is_known_even_when_it_is_refused),
        TEST(unusable_lists_and_pins_are_named),
        TEST(a_key_in_a_token_signs_and_every_trouble_has_its_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
