#include "gateway/amqp/tls_text.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/sslerr.h>
#include <stddef.h>

struct text {
    int number;
    const char *text;
};

/* Alerts after RFC 8446, 6.2: what a person can do about them. */
static const struct text alerts[] = {
    {SSL_AD_HANDSHAKE_FAILURE, "it accepts none of our cipher suites, or asks for a certificate we do not have"},
    {SSL_AD_BAD_CERTIFICATE, "it does not accept our certificate"},
    {SSL_AD_UNSUPPORTED_CERTIFICATE, "our certificate is not meant for this use (extended key usage)"},
    {SSL_AD_CERTIFICATE_REVOKED, "our certificate is revoked"},
    {SSL_AD_CERTIFICATE_EXPIRED, "our certificate has expired by its clock"},
    {SSL_AD_CERTIFICATE_UNKNOWN, "it does not accept our certificate"},
    {SSL_AD_UNKNOWN_CA, "it does not trust the issuer of our certificate"},
    {SSL_AD_ACCESS_DENIED, "our certificate is good but not permitted"},
    {SSL_AD_DECRYPT_ERROR, "it could not verify our signature: do certificate and key belong together?"},
    {SSL_AD_PROTOCOL_VERSION, "it speaks neither TLS 1.2 nor TLS 1.3"},
    /* Erlang's way to say handshake failure or protocol version. */
    {SSL_AD_INSUFFICIENT_SECURITY, "it has no cipher suite that is ours, too, or nothing newer than TLS 1.1"},
    {SSL_AD_UNRECOGNIZED_NAME, "it does not know the host name it was asked for"},
    {SSL_AD_CERTIFICATE_REQUIRED, "it asks for a certificate and got none"},
};

static const struct text reasons[] = {
    {SSL_R_WRONG_VERSION_NUMBER, "the peer does not speak TLS; is this the port for AMQPS?"},
    {SSL_R_HTTP_REQUEST, "the peer speaks HTTP, not AMQPS"},
    {SSL_R_UNSUPPORTED_PROTOCOL, "the peer offers only TLS 1.1 or older; 1.2 or 1.3 is needed"},
    {SSL_R_VERSION_TOO_LOW, "the peer offers only TLS 1.1 or older; 1.2 or 1.3 is needed"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the peer showed no certificate"},
    {SSL_R_NO_SHARED_CIPHER, "the peer offers no cipher suite that is safe enough"},
    {SSL_R_EE_KEY_TOO_SMALL, "the key of the peer's certificate is too short"},
    {SSL_R_CA_KEY_TOO_SMALL, "the key of the peer's authority is too short"},
};

static const char *find(const struct text *texts, size_t count, int number) {
    for (size_t i = 0; i < count; i++)
        if (texts[i].number == number)
            return texts[i].text;
    return NULL;
}

bool tls_text_of_error(unsigned long code, struct fb_cause *cause) {
    const int reason = ERR_GET_REASON(code);
    /* OpenSSL gives an alert from the peer as reason 1000 + its number (one byte). */
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
        const int alert = reason - SSL_AD_REASON_OFFSET;
        const char *text = find(alerts, sizeof alerts / sizeof alerts[0], alert);
        fb_fail(cause, FB_DENIED, "the peer refused with TLS alert %d (%s)%s%s", alert,
                SSL_alert_desc_string_long(alert), text == NULL ? "" : ": ", text == NULL ? "" : text);
        return true;
    }
    const char *text =
        ERR_GET_LIB(code) == ERR_LIB_SSL ? find(reasons, sizeof reasons / sizeof reasons[0], reason) : NULL;
    if (text == NULL)
        text = ERR_reason_error_string(code);
    fb_fail(cause, FB_DENIED, "%s", text == NULL ? "TLS failed without a reason" : text);
    return false;
}
