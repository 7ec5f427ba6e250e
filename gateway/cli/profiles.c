/* profiles.c - `forebay profiles`: lists the models that are known, and shows one of them. */
#include <dirent.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cli/command.h"
#include "gateway/cli/options.h"
#include "gateway/config/profile_check.h"

#define SUFFIX ".yaml"
#define PROFILES_MAX 1024

static const char help[] = "Usage: forebay profiles [-c FILE] [NAME]\n"
                           "\n"
                           "Lists the profiles, the models of instruments that Forebay knows, or shows the one named:\n"
                           "its tags, each address as the manual has it and as it goes over the wire, and where each\n"
                           "fact comes from. Exit status 1 when there is something wrong with one.\n"
                           "\n"
                           "  -c, --config FILE  profiles beside this configuration count, too (default\n"
                           "                     " COMMAND_CONFIG_DEFAULT ")\n"
                           "  --help             show this\n";

struct names {
    char names[PROFILES_MAX][PLANT_NAME_MAX];
    size_t count;
};

struct shown {
    struct profile profile;
    struct profile_about about;
    struct plant plant;
    struct config_report report;
};

static void add_name(struct names *names, const char *file) {
    char name[PLANT_NAME_MAX];
    const size_t length = strlen(file);
    if (length <= strlen(SUFFIX) || strcmp(file + length - strlen(SUFFIX), SUFFIX) != 0)
        return;
    const int used = snprintf(name, sizeof name, "%.*s", (int)(length - strlen(SUFFIX)), file);
    if (used >= (int)sizeof name || !plant_name_valid(name) || names->count == PROFILES_MAX)
        return;
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->names[i], name) == 0)
            return;
    snprintf(names->names[names->count++], sizeof names->names[0], "%s", name);
}

static int name_order(const void *a, const void *b) {
    return strcmp(a, b);
}

static void find_names(const struct profile_folders *folders, struct names *names) {
    for (size_t i = 0; i < folders->count; i++) {
        DIR *folder = opendir(folders->paths[i]);
        for (const struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;)
            add_name(names, entry->d_name);
        if (folder != NULL)
            closedir(folder);
    }
    qsort(names->names, names->count, sizeof names->names[0], name_order);
}

/* False, with all errors on standard error, when there is something wrong with the profile. */
static bool load(const struct profile_folders *folders, const char *name, struct shown *shown) {
    *shown = (struct shown){0};
    enum fb_error error = profile_load(folders, name, &shown->profile, &shown->report);
    if (error == FB_NOT_FOUND)
        fprintf(stderr, "forebay: there is no profile %s; `forebay profiles` lists those there are\n", name);
    if (error == FB_OK)
        error = profile_check(&shown->profile, &shown->about, &shown->plant, &shown->report);
    options_print_report(&shown->report);
    return error == FB_OK;
}

static void done(struct shown *shown) {
    plant_done(&shown->plant);
    profile_done(&shown->profile);
}

static int list(const struct profile_folders *folders) {
    static struct names names;
    static struct shown shown;
    int status = EXIT_SUCCESS;
    find_names(folders, &names);
    for (size_t i = 0; i < names.count; i++) {
        if (load(folders, names.names[i], &shown))
            printf("%-28s %s: %s\n", names.names[i], shown.about.maker, shown.about.model);
        else
            status = EXIT_FAILURE;
        done(&shown);
    }
    return status;
}

static const char *text_of(const struct tree_node *map, const char *key) {
    const struct tree_node *node = tree_get(map, key);
    return node != NULL && node->kind == TREE_TEXT ? node->text : "";
}

/* Where the value stands: as the manual has it, and as it goes over the wire. */
static void print_place(const struct plant_instrument *instrument, const struct plant_tag *tag,
                        const struct tree_node *written) {
    char place[64];
    if (instrument->lines.protocol == PLANT_REGISTERS) {
        snprintf(place, sizeof place, "%s %u", plant_table_word(tag->table), tag->address);
        printf("%-8s %-10s %-16s", plant_type_word(tag->type), text_of(written, "address"), place);
    } else {
        snprintf(place, sizeof place, "field %u", tag->field);
        printf("%-8s %-10s %-16s", tag->type == PLANT_TEXT ? "text" : "number",
               tag->line[0] != '\0' ? tag->line : "any line", place);
    }
}

static void print_tags(const struct shown *shown) {
    const struct plant_instrument *instrument = &shown->plant.instruments[0];
    const struct tree_node *written = tree_get(shown->profile.root, "tags")->first;
    printf("\n%-24s %-7s %-8s %-10s %-16s %8s  %s\n", "tag", "unit", "type", "in manual", "on the wire", "interval",
           "source");
    for (size_t i = 0; i < instrument->tag_count; i++, written = written->next) {
        const struct plant_tag *tag = &instrument->tags[i];
        const bool unproven = tree_get(written, "unproven") != NULL;
        printf("%-24s %-7s ", tag->name, tag->unit);
        print_place(instrument, tag, written);
        printf(" %6.1f s  %s%s\n", tag->interval_ms / 1000.0, unproven ? "UNPROVEN" : text_of(written, "source"),
               tree_get(written, "optional") != NULL ? " (optional)" : "");
    }
}

static int show(const struct profile_folders *folders, const char *name) {
    static struct shown shown;
    const bool good = load(folders, name, &shown);
    if (good) {
        printf("%s\n  model   %s: %s\n  manual  %s\n", shown.profile.file, shown.about.maker, shown.about.model,
               shown.about.manual);
        if (shown.about.note[0] != '\0')
            printf("  note    %s\n", shown.about.note);
        print_tags(&shown);
    }
    done(&shown);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int profiles_main(int argc, char **argv) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *config_file = COMMAND_CONFIG_DEFAULT;
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'h')
            return fputs(help, stdout) < 0;
        if (option != 'c') {
            fputs(help, stderr);
            return 2;
        }
        config_file = optarg;
    }
    if (optind + 1 < argc) {
        fputs(help, stderr);
        return 2;
    }
    char copy[PATH_MAX];
    struct profile_folders folders;
    snprintf(copy, sizeof copy, "%s", config_file);
    profile_folders(dirname(copy), &folders);
    return optind < argc ? show(&folders, argv[optind]) : list(&folders);
}
