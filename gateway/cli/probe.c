/* probe.c - `forebay probe`: reads some registers of one unit, shows all that they can mean, and finds out which
 * meaning the instrument's display confirms. */
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/ask.h"
#include "gateway/cli/command.h"
#include "gateway/cli/explain.h"
#include "gateway/cli/options.h"
#include "gateway/cli/prove.h"
#include "gateway/cli/registers.h"
#include "gateway/cli/target.h"
#include "gateway/common/file.h"
#include "gateway/config/address.h"

#define COUNT_STANDARD 4
/* What explaining wants behind the asked register: 64 bits that begin one further on. */
#define EXPLAIN_BEHIND 4

static const char help[] = "Usage: forebay probe BUS UNIT ADDRESS [-c FILE] [--addresses WORD] [--table WORD]\n"
                           "                     [--count N] [--display VALUE [--proof FILE]]\n"
                           "       forebay probe --prove INSTRUMENT/TAG --display VALUE [-c FILE]\n"
                           "       forebay probe --proofs [INSTRUMENT/TAG] [-c FILE]\n"
                           "\n"
                           "Reads registers of one unit and shows them as every type, in every word order. Asks\n"
                           "through the running gateway, between its own requests, or directly when none runs.\n"
                           "Given what the instrument's display shows, it finds the types, orders and addresses\n"
                           "that explain it. Only reads.\n"
                           "\n"
                           "With --prove a tag is read as it is configured; if it is what the display shows, the\n"
                           "running gateway keeps the raw frames as proof, with your name and the time.\n"
                           "\n"
                           "  -c, --config FILE  the configuration with the bus (default " COMMAND_CONFIG_DEFAULT ")\n"
                           "  --addresses WORD   how ADDRESS is written: base-0 (as on the wire, the default), base-1\n"
                           "                     or 4xxxx\n"
                           "  --table WORD       coil, discrete, input or holding (default)\n"
                           "  --count N          how many, 1 to 125 (default 4)\n"
                           "  --display VALUE    what the display shows, like 7.42\n"
                           "  --proof FILE       write the evidence to this file, as JSON\n"
                           "  --prove TAG        prove this tag\n"
                           "  --proofs           show which tags are proven, or all proofs of one\n"
                           "  --help             show this\n";

struct arguments {
    const char *config_file, *bus, *display, *proof, *prove;
    bool lists;      /* the proofs there are */
    const char *tag; /* of lists: the one whose proofs are wanted, NULL for all tags */
    unsigned unit, count;
    enum plant_table table;
    uint16_t address;
};

/* -1 to go on, else the exit status. */
static int wrong(const char *text) {
    fprintf(stderr, "forebay: %s\n%s", text, help);
    return 2;
}

static bool find_word(const char *const *words, const char *text, unsigned *ret_index) {
    for (*ret_index = 0; words[*ret_index] != NULL; (*ret_index)++)
        if (strcmp(words[*ret_index], text) == 0)
            return true;
    return false;
}

static int parse_places(char **words, unsigned notation, struct arguments *arguments) {
    struct fb_cause cause;
    arguments->bus = words[0];
    if (notation > ADDRESS_MODICON || !options_number(words[1], 0, UINT8_MAX, &arguments->unit))
        return wrong("UNIT is a number from 0 to 255");
    if (address_read(words[2], (enum address_notation)notation, &arguments->table, &arguments->address, &cause) ==
        FB_OK)
        return -1;
    fprintf(stderr, "forebay: ADDRESS %s\n", cause.text);
    return 2;
}

static int parse_proof(int count, char **words, struct arguments *arguments) {
    if (arguments->prove != NULL && (arguments->lists || count > 0 || arguments->display == NULL))
        return wrong("--prove needs --display, and nothing else");
    if (count > 1)
        return wrong("--proofs takes one tag, or none");
    arguments->tag = count == 1 ? words[0] : NULL;
    return -1;
}

static int parse(int argc, char **argv, struct arguments *arguments) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},  {"addresses", required_argument, NULL, 'a'},
        {"table", required_argument, NULL, 't'},   {"count", required_argument, NULL, 'n'},
        {"display", required_argument, NULL, 'd'}, {"proof", required_argument, NULL, 'p'},
        {"prove", required_argument, NULL, 'v'},   {"proofs", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},          {0}};
    unsigned notation = ADDRESS_BASE_0, table = PLANT_HOLDING;
    bool good = true;
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'h')
            return fputs(help, stdout) < 0;
        if (option == 'c')
            arguments->config_file = optarg;
        else if (option == 'd')
            arguments->display = optarg;
        else if (option == 'p')
            arguments->proof = optarg;
        else if (option == 'v')
            arguments->prove = optarg;
        else if (option == 'l')
            arguments->lists = true;
        else if (option == 'a')
            good = good && find_word(address_notation_words, optarg, &notation);
        else if (option == 't')
            good = good && find_word(plant_table_words, optarg, &table);
        else
            good = option == 'n' && good && options_number(optarg, 1, PLANT_REGISTERS_MOST, &arguments->count);
    }
    arguments->table = (enum plant_table)table;
    if (arguments->prove != NULL || arguments->lists)
        return good ? parse_proof(argc - optind, argv + optind, arguments) : wrong("see below");
    if (!good || optind + 3 != argc || (arguments->proof != NULL && arguments->display == NULL))
        return wrong("it needs a bus, a unit, an address, and options as below");
    return parse_places(argv + optind, notation, arguments);
}

/* What was read around the asked address. */
struct found {
    struct target_reply reply;
    uint16_t first; /* wire address */
    unsigned count;
};

static enum fb_error read_range(struct target *target, const struct arguments *arguments, unsigned first,
                                unsigned count, struct found *found, struct fb_cause *cause) {
    if (first + count > UINT16_MAX + 1u)
        count = UINT16_MAX + 1u - first;
    found->first = (uint16_t)first;
    found->count = count;
    return target_read(target, (uint8_t)arguments->unit, arguments->table, (uint16_t)first, (uint8_t)count,
                       &found->reply, cause);
}

/* Neighbours that do not exist make an instrument refuse the whole: then with fewer of them, in one read all the same,
 * so that the parts of a value belong together. */
static enum fb_error read_around(struct target *target, const struct arguments *arguments, struct found *found,
                                 struct fb_cause *cause) {
    enum fb_error error = FB_OK;
    for (unsigned before = arguments->address > 0 ? 1 : 0;; before--) {
        for (unsigned behind = EXPLAIN_BEHIND; error == FB_OK; behind--) {
            error = read_range(target, arguments, arguments->address - before, before + 1 + behind, found, cause);
            if (error == FB_OK && (found->reply.good || found->reply.exception == 0))
                return FB_OK;
            if (behind == 0)
                break;
        }
        if (before == 0 || error != FB_OK)
            return error;
    }
}

static json_t *finding_to_json(const struct explain_finding *finding, unsigned address) {
    return json_pack("{s:i, s:s, s:s, s:i, s:f}", "address", (int)address + finding->offset, "type",
                     plant_type_word(finding->type), "word_order", plant_word_order_word(finding->word_order),
                     "exponent", finding->exponent, "value", finding->value);
}

static void print_finding(const struct explain_finding *finding, const struct arguments *arguments) {
    const unsigned address = (unsigned)((int)arguments->address + finding->offset);
    char manual[16];
    registers_manual(arguments->table, (uint16_t)address, manual);
    printf("  address %u on the wire (%s in a manual)%s, type %s", address, manual,
           finding->offset != 0 ? ", one off" : "", plant_type_word(finding->type));
    if (plant_type_registers(finding->type) > 1 || finding->word_order != PLANT_ABCD)
        printf(", word_order %s", plant_word_order_word(finding->word_order));
    if (finding->exponent != 0)
        printf(", scale 1e%d", finding->exponent);
    printf(": %.*g\n", finding->type == PLANT_FLOAT32 ? 7 : 15, finding->value);
}

static const char *user_name(void) {
    const struct passwd *user = getpwuid(getuid());
    return user != NULL ? user->pw_name : "";
}

/* Raw frames, what they mean, who looked, and when: enough to check it all again later. */
static enum fb_error write_proof(const struct arguments *arguments, const struct found *found, json_t *findings,
                                 struct fb_cause *cause) {
    json_t *proof =
        json_pack("{s:s, s:I, s:s, s:i, s:s, s:i, s:s, s:o, s:o, s:O}", "who", user_name(), "time_ms",
                  (json_int_t)found->reply.time_ms, "bus", arguments->bus, "unit", (int)arguments->unit, "table",
                  plant_table_word(arguments->table), "address", (int)arguments->address, "display", arguments->display,
                  "sent", ask_hex(found->reply.sent, found->reply.sent_length), "received",
                  ask_hex(found->reply.received, found->reply.received_length), "explained_by", findings);
    char *text = proof != NULL ? json_dumps(proof, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(proof);
    const enum fb_error error = text != NULL ? file_write(arguments->proof, text, strlen(text), 0640, cause)
                                             : fb_fail(cause, FB_MEMORY, "out of memory");
    free(text);
    return error;
}

static enum fb_error explain_display(const struct arguments *arguments, const struct explain_display *display,
                                     const struct found *found, struct fb_cause *cause) {
    struct explain_finding findings[EXPLAIN_FINDINGS_MAX];
    const size_t count = explain(found->reply.data, found->count, arguments->address - found->first, display, findings);
    json_t *list = json_array();
    printf("\n%s on the display is explained by%s\n", arguments->display, count == 0 ? " nothing here" : ":");
    for (size_t i = 0; i < count; i++) {
        print_finding(&findings[i], arguments);
        json_array_append_new(list, finding_to_json(&findings[i], arguments->address));
    }
    if (count > 1)
        puts("More than one: look again when the display shows another value.");
    enum fb_error error = FB_OK;
    if (count == 0)
        error = fb_fail(cause, FB_NOT_FOUND, "no type, order or neighbouring address explains it");
    else if (arguments->proof != NULL)
        error = write_proof(arguments, found, list, cause);
    json_decref(list);
    return error;
}

static enum fb_error probe(const struct arguments *arguments, struct fb_cause *cause) {
    static struct target target;
    static struct found found;
    struct explain_display display;
    const bool explains = arguments->display != NULL;
    enum fb_error error = explains ? explain_display_read(arguments->display, &display, cause) : FB_OK;
    if (error == FB_OK && explains && arguments->table <= PLANT_DISCRETE)
        error = fb_fail(cause, FB_INVALID, "--display is for registers; these are bits");
    if (error == FB_OK)
        error = target_open(arguments->config_file, arguments->bus, &target, cause);
    if (error != FB_OK)
        return error;
    error = explains ? read_around(&target, arguments, &found, cause)
                     : read_range(&target, arguments, arguments->address, arguments->count, &found, cause);
    target_close(&target);
    if (error == FB_OK && !found.reply.good)
        error = fb_fail(cause, FB_TIMEOUT, "bus %s, unit %u: %s", arguments->bus, arguments->unit, found.reply.reason);
    if (error != FB_OK)
        return error;
    registers_print(arguments->table, found.first, found.count, found.reply.data);
    return explains ? explain_display(arguments, &display, &found, cause) : FB_OK;
}

static enum fb_error do_it(const struct arguments *arguments, struct fb_cause *cause) {
    if (arguments->prove != NULL)
        return prove_tag(arguments->config_file, arguments->prove, arguments->display, cause);
    if (arguments->lists)
        return prove_list(arguments->config_file, arguments->tag, cause);
    return probe(arguments, cause);
}

int probe_main(int argc, char **argv) {
    struct arguments arguments = {.config_file = COMMAND_CONFIG_DEFAULT, .count = COUNT_STANDARD};
    const int done = parse(argc, argv, &arguments);
    if (done >= 0)
        return done;
    struct fb_cause cause;
    if (do_it(&arguments, &cause) == FB_OK)
        return EXIT_SUCCESS;
    fprintf(stderr, "forebay: %s\n", cause.text);
    return EXIT_FAILURE;
}
