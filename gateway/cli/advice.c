#include "gateway/cli/advice.h"

#include <stdio.h>
#include <string.h>

#define TO_IT ADVICE_TO_IT
#define TO_BROKER ADVICE_TO_BROKER
#define TO_OWNER ADVICE_TO_OWNER

struct row {
    enum amqp_step step;
    enum advice_to to;
    const char *words; /* in the reason; NULL: whatever it is */
    const char *text;  /* {host}, {port}, {peer}, {address} and {issuer} stand for those of the case */
};

/* The first row that fits counts; the last of each step fits always. The words are those of docs/link.md. */
static const struct row rows[] = {
    {AMQP_DNS, TO_IT, "not found",
     "The name servers of this network answer that {host} does not exist. Is it spelled right in the configuration? "
     "Then this network's name servers must be able to resolve it."},
    {AMQP_DNS, TO_IT, "refused",
     "The name servers refuse to answer this gateway. They must answer it for {host}; or give the gateway other ones."},
    {AMQP_DNS, TO_IT, NULL,
     "The name servers this gateway was given do not answer. Allow it to reach them on port 53 (UDP and TCP), or give "
     "it others that it may reach. `host: ADDRESS` in the configuration needs none, if the broker's certificate has "
     "that address."},
    {AMQP_TCP, TO_IT, "refused",
     "{peer} answers at once that nothing takes connections on port {port}. Either the broker is down or listens on "
     "another port (ask who runs it), or a firewall rejects the connection: allow TCP from this gateway to {host} "
     "({peer}) port {port}."},
    {AMQP_TCP, TO_IT, "unreachable",
     "This network has no way to {host} ({peer}). The gateway needs a default route, and TCP to port {port} must be "
     "let through."},
    {AMQP_TCP, TO_IT, "No route",
     "This network has no way to {host} ({peer}), or a firewall says so. Allow TCP from this gateway to {host} "
     "({peer}) port {port}."},
    {AMQP_TCP, TO_IT, NULL,
     "Nothing comes back from {host} ({peer}) port {port}: a firewall on the way drops the connection. Allow outbound "
     "TCP from this gateway to that name and port, and the answers; nothing inbound is needed."},
    {AMQP_TLS, TO_IT, "not among the authorities",
     "The certificate that was shown was issued by {issuer}, which is not our authority. If that is a firewall or "
     "proxy of the plant, it opens TLS connections (TLS inspection): exempt {host} port {port} from it, since the "
     "gateway will never trust it. If the broker has got a new authority, add that to the file in cloud.ca."},
    {AMQP_TLS, TO_IT, "among the pins",
     "The certificate is one of our authority's, but its key is none of those that cloud.pin allows. If the broker has "
     "a "
     "new key, add the pin named in the reason once its owner has confirmed it; else somebody stands in between."},
    {AMQP_TLS, TO_BROKER, "revoked on",
     "The certificate that was shown has been revoked by its authority: the broker needs a new one."},
    {AMQP_TLS, TO_BROKER, "revoke",
     "Revocation cannot be checked with the lists in cloud.crl: get the authority's present list (CRL) from whoever "
     "runs "
     "the broker, for each authority of the chain."},
    {AMQP_TLS, TO_OWNER, "is not valid before",
     "Either this gateway's clock is slow (compare the time above; is an NTP server reachable, UDP port 123?), or the "
     "certificate was made for later."},
    {AMQP_TLS, TO_BROKER, "expired",
     "The certificate named in the reason must be renewed, unless this gateway's clock is fast: compare the time "
     "above."},
    {AMQP_TLS, TO_BROKER, "no subject alternative name",
     "The broker's certificate must have the name {host} as subject alternative name (DNS or IP); the common name "
     "does not count."},
    {AMQP_TLS, TO_BROKER, "certificate is for",
     "The broker's certificate is for other names than {host}. Use one of them in cloud.host, or have a certificate "
     "made for {host}. If none of the names is the broker's, something else answers in its place: ask the plant's IT."},
    {AMQP_TLS, TO_BROKER, "not meant for", "The broker needs a certificate with the extended key usage serverAuth."},
    {AMQP_TLS, TO_IT, "did not answer the TLS handshake",
     "{peer} takes connections on port {port} but then says nothing, as firewalls and proxies do that accept "
     "connections in the broker's place and pass nothing on. Let TLS to {host} port {port} pass unchanged."},
    {AMQP_TLS, TO_OWNER, "does not speak TLS",
     "What listens on port {port} is not AMQPS. The port of AMQPS is 5671; 5672 is AMQP without TLS."},
    {AMQP_TLS, TO_IT, "HTTP",
     "A web server or proxy answers in the broker's place on port {port}. AMQPS must pass without a web proxy."},
    {AMQP_TLS, TO_BROKER, "1.1", "The broker must offer TLS 1.2 or 1.3."},
    {AMQP_TLS, TO_BROKER, "TLS alert",
     "The broker has refused us: the reason above says what it found wrong. Does it trust the authority of this "
     "gateway's certificate, and is that certificate still valid?"},
    {AMQP_TLS, TO_IT, "broke",
     "The connection was cut in the middle of the TLS handshake, as firewalls do that look into connections. Let TLS "
     "to {host} port {port} pass unchanged."},
    {AMQP_TLS, TO_IT, "closed the connection during",
     "The connection was closed in the middle of the TLS handshake, as firewalls do that look into connections. Let "
     "TLS to {host} port {port} pass unchanged; if it does, the broker's log says more."},
    {AMQP_TLS, TO_BROKER, NULL, "The TLS session could not be made; the reason above is exact."},
    {AMQP_SASL, TO_BROKER, "does not accept the name",
     "The broker knows no user by the name in this gateway's certificate. It must have one, without a password, that "
     "signs in by certificate (EXTERNAL)."},
    {AMQP_SASL, TO_BROKER, "ways to sign in (EXTERNAL)",
     "The broker does not offer sign-in by certificate (SASL EXTERNAL). RabbitMQ does with the plugin "
     "rabbitmq_auth_mechanism_ssl enabled and auth_mechanisms.1 = EXTERNAL in rabbitmq.conf."},
    {AMQP_SASL, TO_BROKER, "ways to sign in",
     "The service at {host} offers none of the ways to sign in that cloud.profile stands for: is that the profile of "
     "this service?"},
    {AMQP_SASL, TO_BROKER, "without a name",
     "Before it takes a token the service must let the gateway sign in without a name (SASL ANONYMOUS): is "
     "cloud.profile "
     "the profile of this service?"},
    {AMQP_SASL, TO_BROKER, "did not finish",
     "TLS works, but then {peer} says nothing more. Is it an AMQP 1.0 broker, and in good health?"},
    {AMQP_SASL, TO_BROKER, NULL,
     "The broker does not let this gateway sign in: it must offer SASL EXTERNAL and know the name in its certificate."},
    {AMQP_OPEN, TO_BROKER, "refused our token",
     "The service does not accept the token: is the key in token_key the one of this device or policy, and is the "
     "gateway's clock right? The clock counts, since each token has a time."},
    {AMQP_OPEN, TO_BROKER, NULL,
     "Signing in works, but the AMQP connection is refused or not answered: the broker's own log says why."},
    {AMQP_SESSION, TO_BROKER, NULL,
     "The connection works, but no session is given on it: the broker's own log says why (limits?)."},
    {AMQP_ATTACH, TO_BROKER, "not-found",
     "What {address} names does not exist at the broker. Make it there, or correct cloud.address."},
    {AMQP_ATTACH, TO_BROKER, "unauthorized",
     "The gateway's user may not write to {address}: give it that right, and no other."},
    {AMQP_ATTACH, TO_BROKER, NULL,
     "The broker does not let the gateway send to {address}: is the address right, and may its user write there?"},
    {AMQP_CREDIT, TO_BROKER, NULL,
     "Everything is right, but the broker gives no credit, so it takes no messages now: its own log says why."},
    {AMQP_UP, TO_BROKER, NULL, "The link works, but was closed from the other end."},
};

const char *advice_to_words(enum advice_to to) {
    static const char *const words[] = {[ADVICE_TO_IT] = "Tell the plant's IT",
                                        [ADVICE_TO_BROKER] = "Tell whoever runs the broker",
                                        [ADVICE_TO_OWNER] = "To do on this gateway"};
    return words[to];
}

static const struct row *find(const struct advice_case *failure) {
    const struct row *row = rows;
    while (row->step != failure->step || (row->words != NULL && strstr(failure->reason, row->words) == NULL))
        row++;
    return row;
}

static void append(char *text, const char *more, size_t length) {
    const size_t used = strlen(text), room = ADVICE_TEXT_MAX - 1 - used;
    const size_t taken = length < room ? length : room;
    memcpy(text + used, more, taken);
    text[used + taken] = '\0';
}

enum advice_to advice_find(const struct advice_case *failure, char ret_text[static ADVICE_TEXT_MAX]) {
    char port[8];
    snprintf(port, sizeof port, "%u", failure->port);
    const struct {
        const char *name, *value;
    } values[] = {{"{host}", failure->host},
                  {"{port}", port},
                  {"{peer}", failure->peer},
                  {"{address}", failure->address},
                  {"{issuer}", failure->issuer}};
    const struct row *row = find(failure);
    ret_text[0] = '\0';
    for (const char *at = row->text; *at != '\0';) {
        size_t step = 1, i = 0;
        while (i < sizeof values / sizeof values[0] && strncmp(at, values[i].name, strlen(values[i].name)) != 0)
            i++;
        if (i < sizeof values / sizeof values[0]) {
            append(ret_text, values[i].value, strlen(values[i].value));
            step = strlen(values[i].name);
        } else {
            append(ret_text, at, 1);
        }
        at += step;
    }
    return row->to;
}
