/* What the suites share: checks that are counted, and the words to wait for an event. C11 and C++17 alike. */
#ifndef CHECK_H
#define CHECK_H

/* nanosleep */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "fireside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __cplusplus
#define STATIC_CHECK(condition) static_assert(condition, #condition)
#else
#define STATIC_CHECK(condition) _Static_assert(condition, #condition)
#endif

static int checks_made = 0;

/* Ends the program on the first failure: what follows would only confuse. */
#define CHECK(condition)                                                                            \
    do {                                                                                            \
        checks_made++;                                                                              \
        if (!(condition)) {                                                                         \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                 \
            exit(1);                                                                                \
        }                                                                                           \
    } while (0)

#define CHECK_STATUS(call, wanted)                                                                  \
    do {                                                                                            \
        fireside_status got_ = (call);                                                              \
        checks_made++;                                                                              \
        if (got_ != (wanted)) {                                                                     \
            fprintf(stderr, "%s:%d: %s: %s, expected %s\n", __FILE__, __LINE__, #call,              \
                    fireside_status_name(got_), fireside_status_name(wanted));                      \
            exit(1);                                                                                \
        }                                                                                           \
    } while (0)

#define CHECK_OK(call) CHECK_STATUS(call, FIRESIDE_STATUS_OK)

static inline fireside_str str(const char *text)
{
    fireside_str view;
    view.data = text;
    view.len = strlen(text);
    return view;
}

static inline int same(fireside_str text, const char *wanted)
{
    return text.len == strlen(wanted) && (text.len == 0 || memcmp(text.data, wanted, text.len) == 0);
}

static inline uint64_t now_ms(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* 64 hexadecimal digits. */
static inline int read_fingerprint(const char *hex, uint8_t out[32])
{
    size_t n;
    if (strlen(hex) != 64) {
        return 0;
    }
    for (n = 0; n < 32; n++) {
        unsigned byte;
        if (sscanf(hex + 2 * n, "%2x", &byte) != 1) {
            return 0;
        }
        out[n] = (uint8_t)byte;
    }
    return 1;
}

/* A client of a development server, in memory. */
static inline fireside_client new_client(const char *server, const char *fingerprint, const char *token)
{
    fireside_config config;
    fireside_client client = 0;
    memset(&config, 0, sizeof config);
    config.struct_size = sizeof config;
    config.server = str(server);
    config.trust = FIRESIDE_TRUST_PINNED;
    CHECK(read_fingerprint(fingerprint, config.fingerprint));
    config.token = str(token);
    CHECK_OK(fireside_client_create(&config, &client));
    return client;
}

/* How long something may take before it counts as never coming: Valgrind is slow. */
#define WAIT_MS 60000

/* Ticks until `want` finds its event in a batch; the batch stays readable until the next tick. */
typedef int (*wanted_fn)(const fireside_events *batch, const fireside_event *event, void *data);

static inline int tick_until(fireside_client client, wanted_fn want, void *data, fireside_events *batch)
{
    uint64_t deadline = now_ms() + WAIT_MS;
    memset(batch, 0, sizeof *batch);
    batch->struct_size = sizeof *batch;
    while (now_ms() < deadline) {
        size_t count = 0, n;
        int found = 0;
        struct timespec pause = {0, 1000000};
        CHECK_OK(fireside_client_tick(client, NULL, NULL));
        CHECK_OK(fireside_client_events(client, batch, &count));
        for (n = 0; n < count; n++) {
            if (want(batch, &batch->events[n], data)) {
                found = 1;
            }
        }
        if (found) {
            return 1;
        }
        nanosleep(&pause, NULL);
    }
    return 0;
}

#endif
