/* command.h - the commands of `forebay`: each takes its own arguments (argv[0] is its name) and returns the exit
 * status: 0 done, 1 failed (the reason stands on standard error), 2 wrong usage. */
#ifndef FB_CLI_COMMAND_H
#define FB_CLI_COMMAND_H

int check_config_main(int argc, char **argv);
int command_main(int argc, char **argv);
int config_apply_main(int argc, char **argv);
int demo_main(int argc, char **argv);
int doctor_main(int argc, char **argv);
int export_main(int argc, char **argv);
int parked_main(int argc, char **argv);
int profiles_main(int argc, char **argv);
int probe_main(int argc, char **argv);
int receive_main(int argc, char **argv);
int reload_main(int argc, char **argv);
int run_main(int argc, char **argv);
int scan_main(int argc, char **argv);
int status_main(int argc, char **argv);
int config_main(int argc, char **argv);
int audit_main(int argc, char **argv);
int events_main(int argc, char **argv);
int attempts_main(int argc, char **argv);
int store_main(int argc, char **argv);
int verify_main(int argc, char **argv);
int trace_main(int argc, char **argv);
int write_main(int argc, char **argv);

/* Where the configuration stands unless -c says otherwise. */
#define COMMAND_CONFIG_DEFAULT "/etc/forebay/forebay.yaml"

#endif
