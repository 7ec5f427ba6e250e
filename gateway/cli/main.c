/* main.c - the command `forebay`: finds the command by its name and runs it. */
#include <stdio.h>
#include <string.h>

#include "gateway/cli/command.h"

static const struct {
    const char *name;
    const char *what;
    int (*main)(int argc, char **argv);
} commands[] = {
    {"run", "run the gateway in the foreground", run_main},
    {"status", "show the state of the running gateway", status_main},
    {"reload", "apply the changed configuration to the running gateway", reload_main},
    {"config", "show the configurations that were in force, and apply one", config_main},
    {"audit", "show what people did to the gateway", audit_main},
    {"events", "show what happened to the gateway", events_main},
    {"attempts", "show the attempts to communicate", attempts_main},
    {"check-config", "check a configuration file, and predict the load of its buses", check_config_main},
    {"doctor", "find out why the link cannot be made, and whom to tell", doctor_main},
    {"export", "write what the running gateway has stored as CSV or NDJSON", export_main},
    {"verify", "check that no batch was altered, removed or reordered", verify_main},
    {"parked", "list the batches the peer will not take, and hand them out again", parked_main},
    {"store", "change the store's key, salvage, check", store_main},
    {"probe", "read registers of one unit, and find out what they mean", probe_main},
    {"scan", "find the units on a bus that nobody polls", scan_main},
    {"profiles", "list the models of instruments that are known, or show one", profiles_main},
    {"trace", "write the raw frames of a bus to a file for Wireshark", trace_main},
    {"command", "sign a command for a gateway", command_main},
    {"write", "write one value to a register that the configuration opens", write_main},
    {"receive", "take batches from gateways or a broker and write their readings", receive_main},
    {"demo", "run a gateway with simulated instruments and a receiver, to try it", demo_main},
};

static void print_help(FILE *to) {
    fputs("Usage: forebay COMMAND [OPTION ...]\n\n"
          "Forebay polls a water plant's instruments, keeps every reading, and forwards it over one link.\n\n"
          "Commands:\n",
          to);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(to, "  %-13s %s\n", commands[i].name, commands[i].what);
    fputs("\n  --help        show this; `forebay COMMAND --help` shows more\n"
          "  --version     show the version\n",
          to);
}

int main(int argc, char **argv) {
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_help(stdout);
        return 0;
    }
    if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
        puts("forebay " FOREBAY_VERSION);
        return 0;
    }
    for (size_t i = 0; argc >= 2 && i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, argv[1]) == 0)
            return commands[i].main(argc - 1, argv + 1);
    if (argc >= 2)
        fprintf(stderr, "forebay: there is no command \"%s\"\n", argv[1]);
    print_help(stderr);
    return 2;
}
