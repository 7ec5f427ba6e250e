#include "gateway/cloud/certificates.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/common/file_stamp.h"
#include "gateway/common/pkcs11_uri.h"

#define TIMER_ACCURACY_US 1000000
/* Authorities, certificate, key, PIN, key of tokens, lists. */
#define FILES_MAX (5 + LINK_CRLS_MAX)

struct certificates {
    void (*changed)(void *user);
    void *user;
    sd_event_source *timer;
    bool has_settings;
    struct link_settings settings;
    struct file_stamp stamps[FILES_MAX];
    json_t *files;               /* of the files: an array of what validity_file_to_json() makes */
    struct validity_list broker; /* what the peer presented last */
};

static bool same_stamps(const struct file_stamp a[static FILES_MAX], const struct file_stamp b[static FILES_MAX]) {
    for (size_t i = 0; i < FILES_MAX; i++)
        if (!file_stamp_same(&a[i], &b[i]))
            return false;
    return true;
}

static void read_stamps(const struct certificates *certificates, struct file_stamp ret_stamps[static FILES_MAX]) {
    const struct link_settings *settings = &certificates->settings;
    memset(ret_stamps, 0, FILES_MAX * sizeof *ret_stamps);
    if (!certificates->has_settings)
        return;
    ret_stamps[0] = file_stamp_of(settings->ca);
    ret_stamps[1] = file_stamp_of(settings->certificate);
    ret_stamps[2] = file_stamp_of(pkcs11_uri_is(settings->key) ? "" : settings->key);
    ret_stamps[3] = file_stamp_of(settings->key_pin_file);
    ret_stamps[4] = file_stamp_of(settings->token_key);
    for (uint32_t i = 0; i < settings->crl_count; i++)
        ret_stamps[5 + i] = file_stamp_of(settings->crls[i]);
}

static void read_files(struct certificates *certificates) {
    const struct link_settings *settings = &certificates->settings;
    json_decref(certificates->files);
    certificates->files = json_array();
    if (!certificates->has_settings)
        return;
    if (settings->certificate[0] != '\0')
        validity_file_to_json("gateway", settings->certificate, certificates->files);
    for (uint32_t i = 0; i < settings->crl_count; i++)
        validity_file_to_json("crl", settings->crls[i], certificates->files);
    validity_file_to_json("authority", settings->ca, certificates->files);
}

static int on_look(sd_event_source *source, uint64_t now_us, void *user) {
    (void)now_us;
    struct certificates *certificates = user;
    struct file_stamp stamps[FILES_MAX];
    sd_event_source_set_time_relative(source, (uint64_t)CERTIFICATES_LOOK_MS * 1000);
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    read_stamps(certificates, stamps);
    if (same_stamps(stamps, certificates->stamps))
        return 0;
    memcpy(certificates->stamps, stamps, sizeof stamps);
    read_files(certificates);
    certificates->changed(certificates->user);
    return 0;
}

enum fb_error certificates_new(sd_event *event, void (*changed)(void *user), void *user,
                               struct certificates **ret_certificates, struct fb_cause *cause) {
    struct certificates *certificates = calloc(1, sizeof *certificates);
    if (certificates == NULL)
        return fb_fail(cause, FB_MEMORY, "out of memory");
    certificates->changed = changed;
    certificates->user = user;
    certificates->files = json_array();
    if (sd_event_add_time(event, &certificates->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_US, on_look, certificates) <
        0) {
        certificates_free(certificates);
        return fb_fail(cause, FB_MEMORY, "out of memory");
    }
    sd_event_source_set_enabled(certificates->timer, SD_EVENT_OFF);
    *ret_certificates = certificates;
    return FB_OK;
}

void certificates_free(struct certificates *certificates) {
    if (certificates == NULL)
        return;
    sd_event_source_disable_unref(certificates->timer);
    json_decref(certificates->files);
    free(certificates);
}

void certificates_watch(struct certificates *certificates, const struct link_settings *settings) {
    certificates->has_settings = settings != NULL;
    if (settings != NULL)
        certificates->settings = *settings;
    certificates->broker.count = 0;
    read_stamps(certificates, certificates->stamps);
    read_files(certificates);
    sd_event_source_set_time_relative(certificates->timer, (uint64_t)CERTIFICATES_LOOK_MS * 1000);
    sd_event_source_set_enabled(certificates->timer, settings != NULL ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

void certificates_presented(struct certificates *certificates, const struct validity_list *chain) {
    if (chain->count > 0)
        certificates->broker = *chain;
}

struct certificates_end certificates_end(const struct certificates *certificates) {
    const struct validity_list *broker = &certificates->broker;
    const json_t *own = json_array_get(certificates->files, 0);
    const bool has_own = certificates->has_settings && certificates->settings.certificate[0] != '\0';
    const int64_t own_ms = has_own ? (int64_t)json_integer_value(json_object_get(own, "until_ms")) : 0;
    const int64_t broker_ms = broker->count > 0 ? broker->entries[0].until_ms : 0;
    const bool own_first = own_ms > 0 && (broker_ms == 0 || own_ms < broker_ms);
    return (struct certificates_end){
        .at_ms = own_first ? own_ms : broker_ms,
        .subject = own_first ? json_string_value(json_object_get(own, "subject")) : broker->entries[0].subject,
        .peers = !own_first,
    };
}

json_t *certificates_to_json(const struct certificates *certificates) {
    json_t *all = json_array();
    validity_list_to_json(&certificates->broker, "broker", NULL, all);
    json_array_extend(all, certificates->files);
    while (json_array_size(all) > CERTIFICATES_MAX)
        json_array_remove(all, CERTIFICATES_MAX);
    return json_pack("{s:o}", "certificates", all);
}
