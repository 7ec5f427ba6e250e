// links: tests/unit/pki.c gateway/common/error.c gateway/common/pin.c
/* fleet_certificates FOLDER COUNT - an authority, a server's certificate for this machine, a consumer's and those of
 * the gateways "gw-0", "gw-1" ..., each NAME.pem and NAME.key. Quick: thousands of them. Good for a day. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/unit/pki.h"

int main(int argc, char **argv) {
    if (argc != 3) {
        fputs("Usage: fleet_certificates FOLDER COUNT\n", stderr);
        return 2;
    }
    umask(077);
    struct pki_authority authority = pki_authority_make(argv[1], "ca");
    const struct pki_request server = {
        .name = "server", .names = "DNS:localhost,IP:127.0.0.1", .purpose = "serverAuth"};
    const struct pki_request consumer = {.name = "consumer", .purpose = "clientAuth"};
    pki_issue(argv[1], &authority, &server);
    pki_issue(argv[1], &authority, &consumer);
    const unsigned long count = strtoul(argv[2], NULL, 10);
    for (unsigned long i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "gw-%lu", i);
        const struct pki_request gateway = {.name = name, .purpose = "clientAuth"};
        pki_issue(argv[1], &authority, &gateway);
    }
    pki_authority_done(&authority);
    return 0;
}
