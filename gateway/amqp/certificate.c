#include "gateway/amqp/certificate.h"

#include <arpa/inet.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NAMES_SHOWN 5
#define DATE_MAX 32

static void clean(char *text) {
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

static void append(char *text, size_t size, const char *more) {
    const size_t used = strlen(text);
    snprintf(text + used, size - used, "%s", more);
}

static void name_text(const GENERAL_NAME *name, char *ret_text, size_t size) {
    int type = 0;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    ret_text[0] = '\0';
    if (type == GEN_DNS) {
        snprintf(ret_text, size, "DNS %.*s", ASN1_STRING_length(value), (const char *)ASN1_STRING_get0_data(value));
    } else if (type == GEN_IPADD) {
        char address[INET6_ADDRSTRLEN] = "?";
        inet_ntop(ASN1_STRING_length(value) == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), address,
                  sizeof address);
        snprintf(ret_text, size, "IP %s", address);
    }
    clean(ret_text);
}

/* A SAN of another length than an address has must not be read as one. */
static bool shown(const GENERAL_NAME *name) {
    int type = 0;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    const int length = type == GEN_DNS || type == GEN_IPADD ? ASN1_STRING_length(value) : 0;
    return type == GEN_DNS || (type == GEN_IPADD && (length == 4 || length == 16));
}

void certificate_names(const X509 *certificate, char *ret_text, size_t size) {
    ret_text[0] = '\0';
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int count = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (!shown(name))
            continue;
        if (count++ > 0)
            append(ret_text, size, ", ");
        if (count > NAMES_SHOWN) {
            append(ret_text, size, "...");
            break;
        }
        char text[CERTIFICATE_TEXT_MAX];
        name_text(name, text, sizeof text);
        append(ret_text, size, text);
    }
    GENERAL_NAMES_free(names);
}

static void whole_name(const X509_NAME *name, char *ret_text, size_t size) {
    char *text = X509_NAME_oneline(name, NULL, 0);
    snprintf(ret_text, size, "%s", text == NULL ? "" : text);
    OPENSSL_free(text);
    clean(ret_text);
}

static bool common_name(const X509_NAME *subject, char *ret_text, size_t size) {
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0)
        return false;
    unsigned char *text = NULL;
    if (ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))) < 0)
        return false;
    snprintf(ret_text, size, "%s", (const char *)text);
    OPENSSL_free(text);
    clean(ret_text);
    return true;
}

void certificate_name(const X509_NAME *name, char *ret_text, size_t size) {
    if (!common_name(name, ret_text, size))
        whole_name(name, ret_text, size);
}

void certificate_subject(const X509 *certificate, char *ret_text, size_t size) {
    certificate_name(X509_get_subject_name(certificate), ret_text, size);
}

void certificate_peer_name(const X509 *certificate, char *ret_text, size_t size) {
    if (common_name(X509_get_subject_name(certificate), ret_text, size))
        return;
    certificate_names(certificate, ret_text, size);
    ret_text[strcspn(ret_text, ",")] = '\0';
}

static void date_text(const ASN1_TIME *date, char ret_text[static DATE_MAX]) {
    struct tm when;
    if (ASN1_TIME_to_tm(date, &when) != 1 || strftime(ret_text, DATE_MAX, "%Y-%m-%d %H:%M:%S UTC", &when) == 0)
        snprintf(ret_text, DATE_MAX, "a date that cannot be read");
}

static void clock_text(char ret_text[static DATE_MAX]) {
    const time_t now = time(NULL);
    struct tm when;
    gmtime_r(&now, &when);
    strftime(ret_text, DATE_MAX, "%Y-%m-%d %H:%M:%S UTC", &when);
}

static void expired(const X509 *certificate, const char *subject, struct fb_cause *cause) {
    char date[DATE_MAX], now[DATE_MAX];
    date_text(X509_get0_notAfter(certificate), date);
    clock_text(now);
    fb_fail(cause, FB_INVALID, "certificate of %s expired on %s; the clock here says %s", subject, date, now);
}

static void not_yet_valid(const X509 *certificate, const char *subject, struct fb_cause *cause) {
    char date[DATE_MAX], now[DATE_MAX];
    date_text(X509_get0_notBefore(certificate), date);
    clock_text(now);
    fb_fail(cause, FB_INVALID, "certificate of %s is not valid before %s; the clock here says %s", subject, date, now);
}

static void wrong_name(const X509 *certificate, const char *host, struct fb_cause *cause) {
    char names[CERTIFICATE_TEXT_MAX], subject[CERTIFICATE_TEXT_MAX];
    certificate_names(certificate, names, sizeof names);
    certificate_subject(certificate, subject, sizeof subject);
    if (names[0] == '\0')
        fb_fail(cause, FB_DENIED, "certificate of %s has no subject alternative name, so it is not for %s", subject,
                host);
    else
        fb_fail(cause, FB_DENIED, "certificate is for %s, not for %s", names, host);
}

static void unknown_issuer(const X509 *certificate, const char *subject, const char *authorities,
                           struct fb_cause *cause) {
    char issuer[CERTIFICATE_TEXT_MAX];
    whole_name(X509_get_issuer_name(certificate), issuer, sizeof issuer);
    fb_fail(cause, FB_DENIED, "certificate of %s was issued by %s, which is not among the authorities in %s", subject,
            issuer, authorities);
}

static bool of_unknown_issuer(int error) {
    return error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY || error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
           error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN || error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
           error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE || error == X509_V_ERR_CERT_SIGNATURE_FAILURE;
}

static void revoked(const struct certificate_problem *problem, const char *subject, struct fb_cause *cause) {
    char date[DATE_MAX];
    X509_REVOKED *entry = NULL;
    X509_CRL *crl = (X509_CRL *)(uintptr_t)problem->crl; /* X509_CRL_get0_by_cert() only sorts it */
    if (crl == NULL || X509_CRL_get0_by_cert(crl, &entry, (X509 *)(uintptr_t)problem->certificate) != 1) {
        fb_fail(cause, FB_DENIED, "certificate of %s is revoked", subject);
        return;
    }
    date_text(X509_REVOKED_get0_revocationDate(entry), date);
    fb_fail(cause, FB_DENIED, "certificate of %s was revoked on %s", subject, date);
}

static void no_list(const struct certificate_problem *problem, const char *subject, struct fb_cause *cause) {
    char issuer[CERTIFICATE_TEXT_MAX];
    certificate_name(X509_get_issuer_name(problem->certificate), issuer, sizeof issuer);
    fb_fail(cause, FB_DENIED, "revocation of %s cannot be checked: there is no list of revoked certificates of %s",
            subject, issuer);
}

/* One of the same name. */
static void foreign_list(const struct certificate_problem *problem, const char *subject, struct fb_cause *cause) {
    char issuer[CERTIFICATE_TEXT_MAX];
    certificate_name(X509_get_issuer_name(problem->certificate), issuer, sizeof issuer);
    fb_fail(
        cause, FB_DENIED,
        "revocation of %s cannot be checked: the list of revoked certificates of %s is not signed by that authority",
        subject, issuer);
}

static void list_not_in_force(const struct certificate_problem *problem, bool late, struct fb_cause *cause) {
    char issuer[CERTIFICATE_TEXT_MAX], date[DATE_MAX], now[DATE_MAX];
    certificate_name(X509_CRL_get_issuer(problem->crl), issuer, sizeof issuer);
    date_text(late ? X509_CRL_get0_nextUpdate(problem->crl) : X509_CRL_get0_lastUpdate(problem->crl), date);
    clock_text(now);
    fb_fail(cause, FB_DENIED, "list of revoked certificates of %s %s %s; the clock here says %s", issuer,
            late ? "expired on" : "is not valid before", date, now);
}

/* False: it is something else. */
static bool of_revocation(const struct certificate_problem *problem, const char *subject, struct fb_cause *cause) {
    if (problem->error == X509_V_ERR_CERT_REVOKED)
        revoked(problem, subject, cause);
    else if (problem->error == X509_V_ERR_UNABLE_TO_GET_CRL || problem->error == X509_V_ERR_DIFFERENT_CRL_SCOPE)
        no_list(problem, subject, cause);
    else if (problem->error == X509_V_ERR_CRL_SIGNATURE_FAILURE ||
             problem->error == X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER)
        foreign_list(problem, subject, cause);
    else if (problem->crl != NULL && problem->error == X509_V_ERR_CRL_HAS_EXPIRED)
        list_not_in_force(problem, true, cause);
    else if (problem->crl != NULL && problem->error == X509_V_ERR_CRL_NOT_YET_VALID)
        list_not_in_force(problem, false, cause);
    else
        return false;
    return true;
}

static void of_certificate(const struct certificate_problem *problem, const char *subject, struct fb_cause *cause) {
    const int error = problem->error;
    const X509 *certificate = problem->certificate;
    if (error == X509_V_ERR_CERT_HAS_EXPIRED)
        expired(certificate, subject, cause);
    else if (error == X509_V_ERR_CERT_NOT_YET_VALID)
        not_yet_valid(certificate, subject, cause);
    else if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH)
        wrong_name(certificate, problem->host == NULL ? "this host" : problem->host, cause);
    else if (of_unknown_issuer(error))
        unknown_issuer(certificate, subject, problem->authorities, cause);
    else if (error == X509_V_ERR_INVALID_PURPOSE)
        fb_fail(cause, FB_DENIED, "certificate of %s is not meant for a %s (extended key usage)", subject,
                problem->host == NULL ? "client" : "server");
    else
        fb_fail(cause, FB_DENIED, "certificate of %s: %s (%d)", subject, X509_verify_cert_error_string(error), error);
}

void certificate_refusal(const struct certificate_problem *problem, struct fb_cause *cause) {
    char subject[CERTIFICATE_TEXT_MAX];
    if (problem->certificate == NULL) {
        fb_fail(cause, FB_DENIED, "certificate: %s (%d)", X509_verify_cert_error_string(problem->error),
                problem->error);
        return;
    }
    certificate_subject(problem->certificate, subject, sizeof subject);
    if (!of_revocation(problem, subject, cause))
        of_certificate(problem, subject, cause);
}

enum fb_error certificate_in_time(const X509 *certificate, struct fb_cause *cause) {
    char subject[CERTIFICATE_TEXT_MAX];
    certificate_subject(certificate, subject, sizeof subject);
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0) {
        expired(certificate, subject, cause);
        return FB_INVALID;
    }
    if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0) {
        not_yet_valid(certificate, subject, cause);
        return FB_INVALID;
    }
    return FB_OK;
}
