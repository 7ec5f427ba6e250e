#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "drivers/plan.h"
#include "gateway/cli/command.h"
#include "gateway/config/config.h"

static const char usage[] = "Usage: forebay check-config FILE\n"
                            "\n"
                            "Checks a configuration without starting or changing anything. Prints how busy each bus\n"
                            "will be and how long its cycle takes, or up to twenty errors as FILE:LINE:COLUMN: PLACE: "
                            "what is wrong and what to do.\n"
                            "\n"
                            "Exit status: 0 good, 1 with errors, 2 wrong usage.\n";

static void print_errors(const struct config_report *report) {
    for (size_t i = 0; i < report->count; i++) {
        const struct config_error *error = &report->errors[i];
        if (error->line == 0)
            fprintf(stderr, "%s: %s\n", report->file, error->text);
        else
            fprintf(stderr, "%s:%u:%u: %s\n", report->file, error->line, error->column, error->text);
    }
    if (report->count == CONFIG_ERRORS_MAX)
        fprintf(stderr, "%s: these are the first %d errors; there may be more\n", report->file, CONFIG_ERRORS_MAX);
}

static void print_counts(const char *file, const struct plant *plant) {
    size_t tags = 0;
    for (size_t i = 0; i < plant->instrument_count; i++)
        tags += plant->instruments[i].tag_count;
    printf("%s: good: %zu %s, %zu %s, %zu %s\n", file, plant->bus_count, plant->bus_count == 1 ? "bus" : "buses",
           plant->instrument_count, plant->instrument_count == 1 ? "instrument" : "instruments", tags,
           tags == 1 ? "tag" : "tags");
}

static double cycle_ms(const struct plant_bus *bus, const struct plan *plan, size_t dead) {
    return (double)plan_cycle_us(bus, plan, dead) / 1000.0;
}

/* What the others on the bus must bear when one instrument, and when half of them, have just fallen silent. */
static void print_dead(const struct plant *plant, size_t index, const struct plan *plan) {
    size_t instruments = 0;
    for (size_t i = 0; i < plant->instrument_count; i++)
        instruments += plant->instruments[i].bus == index;
    const struct plant_bus *bus = &plant->buses[index];
    if (instruments > 1)
        printf(", %.0f ms when one instrument falls silent", cycle_ms(bus, plan, 1));
    if (instruments > 3)
        printf(", %.0f ms when %zu do", cycle_ms(bus, plan, instruments / 2), instruments / 2);
}

static int print_bus(const struct plant *plant, size_t index) {
    const struct plant_bus *bus = &plant->buses[index];
    struct plan plan;
    if (plan_bus(plant, index, &plan) != FB_OK) {
        fprintf(stderr, "bus %s: out of memory\n", bus->name);
        return 1;
    }
    printf("bus %s: %.1f %% busy, %zu %s a cycle of %.0f ms", bus->name, plan_load(bus, &plan) * 100,
           plan.request_count, plan.request_count == 1 ? "request" : "requests", cycle_ms(bus, &plan, 0));
    print_dead(plant, index, &plan);
    putchar('\n');
    plan_done(&plan);
    return 0;
}

/* Nobody should open a register without seeing it. */
static void print_writes(const struct plant_instrument *instrument) {
    if (instrument->write_count == 0)
        return;
    printf("instrument %s: may be written:", instrument->name);
    for (size_t i = 0; i < instrument->write_count; i++)
        printf("%s %s (%.15g to %.15g)", i > 0 ? "," : "", instrument->writes[i].name, instrument->writes[i].min,
               instrument->writes[i].max);
    putchar('\n');
}

static int check(const char *file) {
    struct config config;
    struct config_report report;
    if (config_load(file, &config, &report) != FB_OK) {
        print_errors(&report);
        return 1;
    }
    print_counts(file, &config.plant);
    int status = 0;
    for (size_t i = 0; i < config.plant.bus_count; i++)
        status |= print_bus(&config.plant, i);
    for (size_t i = 0; i < config.plant.instrument_count; i++)
        print_writes(&config.plant.instruments[i]);
    config_done(&config);
    return status;
}

int check_config_main(int argc, char **argv) {
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        return 0;
    }
    if (argc != 2 || argv[1][0] == '-') {
        fputs(usage, stderr);
        return 2;
    }
    return check(argv[1]);
}
