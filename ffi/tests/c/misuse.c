/* Everything that can be handed over wrong is a status, each time, and never a crash. No server is needed. */
#include "check.h"

/* Aligned for anything, and not a struct of ours. */
static union {
    uint64_t align;
    unsigned char bytes[256];
} junk;

static fireside_client client_of(const char *server)
{
    fireside_config config;
    fireside_client client = 0;
    memset(&config, 0, sizeof config);
    config.struct_size = sizeof config;
    config.server = str(server);
    CHECK_OK(fireside_client_create(&config, &client));
    CHECK(client != 0);
    return client;
}

/* Every function that takes a client. */
static void every_call(fireside_client client, fireside_status wanted)
{
    fireside_id id;
    fireside_message_ref message;
    fireside_events events;
    fireside_stats stats;
    fireside_str users[1];
    uint64_t request = 77;
    size_t count = 77;
    memset(&id, 1, sizeof id);
    memset(&message, 1, sizeof message);
    memset(&events, 0, sizeof events);
    memset(&stats, 0, sizeof stats);
    events.struct_size = sizeof events;
    stats.struct_size = sizeof stats;
    users[0] = str("bob");
    CHECK_STATUS(fireside_client_connect(client, &request), wanted);
    CHECK_STATUS(fireside_client_disconnect(client, &request), wanted);
    CHECK_STATUS(fireside_client_set_token(client, str("t"), &request), wanted);
    CHECK_STATUS(fireside_client_set_visible(client, 1, &request), wanted);
    CHECK_STATUS(fireside_client_set_background_fill(client, 1, &request), wanted);
    CHECK_STATUS(fireside_client_suspend(client, &request), wanted);
    CHECK_STATUS(fireside_client_resume(client, &request), wanted);
    CHECK_STATUS(fireside_client_devices(client, &request), wanted);
    CHECK_STATUS(fireside_client_tick(client, NULL, &count), wanted);
    CHECK_STATUS(fireside_client_events(client, &events, &count), wanted);
    CHECK_STATUS(fireside_client_set_wake(client, NULL, NULL), wanted);
    CHECK_STATUS(fireside_client_stats(client, &stats), wanted);
    CHECK_STATUS(fireside_client_close(client), wanted);
    CHECK_STATUS(fireside_message_send(client, &id, str("x"), &request), wanted);
    CHECK_STATUS(fireside_message_send_to_user(client, str("bob"), str("x"), &request), wanted);
    CHECK_STATUS(fireside_message_edit(client, &id, &message, str("x"), &request), wanted);
    CHECK_STATUS(fireside_message_recall(client, &id, &message, &request), wanted);
    CHECK_STATUS(fireside_message_react(client, &id, &message, str("gg"), 1, &request), wanted);
    CHECK_STATUS(fireside_message_pin(client, &id, &message, 1, &request), wanted);
    CHECK_STATUS(fireside_message_pins(client, &id, 0, &request), wanted);
    CHECK_STATUS(fireside_message_retry(client, &id, &request), wanted);
    CHECK_STATUS(fireside_message_discard(client, &id, &request), wanted);
    CHECK_STATUS(fireside_message_search(client, str("x"), NULL, 10, &request), wanted);
    CHECK_STATUS(fireside_conversation_open(client, &id, &request), wanted);
    CHECK_STATUS(fireside_conversation_close(client, &id, &request), wanted);
    CHECK_STATUS(fireside_conversation_load_older(client, &id, 10, &request), wanted);
    CHECK_STATUS(fireside_conversation_mark_read(client, &id, 0, &request), wanted);
    CHECK_STATUS(fireside_conversation_set_typing(client, &id, 1, &request), wanted);
    CHECK_STATUS(fireside_conversation_create_group(client, str("g"), users, 1, 0, &request), wanted);
    CHECK_STATUS(fireside_conversation_invite(client, &id, users, 1, &request), wanted);
    CHECK_STATUS(fireside_conversation_join(client, &id, &request), wanted);
    CHECK_STATUS(fireside_conversation_leave(client, &id, &request), wanted);
    CHECK_STATUS(fireside_conversation_members(client, &id, str(""), &request), wanted);
    CHECK_STATUS(fireside_conversation_remove_member(client, &id, str("bob"), &request), wanted);
    CHECK_STATUS(fireside_conversation_set_role(client, &id, str("bob"), FIRESIDE_ROLE_ADMIN, &request), wanted);
    CHECK_STATUS(fireside_user_set_blocked(client, str("bob"), 1, &request), wanted);
    CHECK_STATUS(fireside_device_revoke(client, &id, &request), wanted);
    /* Outputs are written on success only. */
    CHECK(request == 77 && count == 77);
}

static void handles(void)
{
    fireside_client first, second;
    uint64_t n;
    every_call(0, FIRESIDE_STATUS_INVALID_HANDLE);
    for (n = 1; n < 3000; n++) {
        CHECK_STATUS(fireside_client_connect(n, NULL), FIRESIDE_STATUS_INVALID_HANDLE);
    }
    every_call(UINT64_MAX, FIRESIDE_STATUS_INVALID_HANDLE);
    every_call((fireside_client)(uintptr_t)&junk, FIRESIDE_STATUS_INVALID_HANDLE);
    CHECK_STATUS(fireside_client_destroy(0), FIRESIDE_STATUS_INVALID_HANDLE);
    first = client_of("127.0.0.1:9");
    every_call(first ^ 1, FIRESIDE_STATUS_INVALID_HANDLE);
    every_call(first + ((uint64_t)1 << 32), FIRESIDE_STATUS_INVALID_HANDLE);
    CHECK_OK(fireside_client_destroy(first));
    CHECK_STATUS(fireside_client_destroy(first), FIRESIDE_STATUS_INVALID_HANDLE);
    every_call(first, FIRESIDE_STATUS_INVALID_HANDLE);
    /* The next clients take its place; the old handle stays dead. */
    for (n = 0; n < 10; n++) {
        second = client_of("127.0.0.1:9");
        CHECK(second != first && (uint32_t)second == (uint32_t)first);
        every_call(first, FIRESIDE_STATUS_INVALID_HANDLE);
        CHECK_OK(fireside_client_destroy(second));
    }
    CHECK_STATUS(fireside_client_destroy(first), FIRESIDE_STATUS_INVALID_HANDLE);
}

static void configs(void)
{
    fireside_config config;
    fireside_client client = 77;
    memset(&config, 0, sizeof config);
    CHECK_STATUS(fireside_client_create(NULL, &client), FIRESIDE_STATUS_INVALID_ARGUMENT);
    /* A size that was never set, or is not one. */
    CHECK_STATUS(fireside_client_create(&config, &client), FIRESIDE_STATUS_INVALID_ARGUMENT);
    config.struct_size = 3;
    CHECK_STATUS(fireside_client_create(&config, &client), FIRESIDE_STATUS_INVALID_ARGUMENT);
    config.struct_size = 0xcdcdcdcd;
    CHECK_STATUS(fireside_client_create(&config, &client), FIRESIDE_STATUS_INVALID_ARGUMENT);
    config.struct_size = sizeof config;
    CHECK_STATUS(fireside_client_create(&config, NULL), FIRESIDE_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(fireside_client_create(&config, &client), FIRESIDE_STATUS_SERVER_INVALID);
    config.server = str("127.0.0.1:9");
    CHECK_STATUS(fireside_client_create((const fireside_config *)((const char *)&config + 1), &client),
                 FIRESIDE_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(fireside_client_create(&config, (fireside_client *)(junk.bytes + 1)), FIRESIDE_STATUS_INVALID_ARGUMENT);
    config.trust = 9;
    CHECK_STATUS(fireside_client_create(&config, &client), FIRESIDE_STATUS_INVALID_ARGUMENT);
    config.trust = FIRESIDE_TRUST_ROOTS;
    config.server.data = "\xff\xfe:9";
    config.server.len = 4;
    CHECK_STATUS(fireside_client_create(&config, &client), FIRESIDE_STATUS_INVALID_ARGUMENT);
    config.server = str("no port");
    CHECK_STATUS(fireside_client_create(&config, &client), FIRESIDE_STATUS_SERVER_INVALID);
    config.server = str("127.0.0.1:9");
    config.server_name = str("not a name");
    CHECK_STATUS(fireside_client_create(&config, &client), FIRESIDE_STATUS_SERVER_NAME_INVALID);
    config.server_name = str("");
    config.folder = str("/nowhere");
    CHECK_STATUS(fireside_client_create(&config, &client), FIRESIDE_STATUS_USER_NEEDED);
    config.user = str("a\nb");
    CHECK_STATUS(fireside_client_create(&config, &client), FIRESIDE_STATUS_USER_INVALID);
    CHECK(client == 77);

    /* An older caller, whose struct ends after the server: exactly so many bytes exist. */
    {
        size_t size = offsetof(fireside_config, server_name);
        fireside_config *old = (fireside_config *)malloc(size);
        CHECK(old != NULL);
        memset(old, 0, size);
        old->struct_size = (uint32_t)size;
        old->server = str("127.0.0.1:9");
        CHECK_OK(fireside_client_create(old, &client));
        CHECK_OK(fireside_client_destroy(client));
        /* Cut in the middle of the server: its length is missing, so it is empty. */
        old->struct_size = (uint32_t)(offsetof(fireside_config, server) + sizeof(char *));
        CHECK_STATUS(fireside_client_create(old, &client), FIRESIDE_STATUS_SERVER_INVALID);
        free(old);
    }
    /* A newer caller, whose struct is longer. */
    {
        size_t size = sizeof config + 64;
        unsigned char *bytes = (unsigned char *)malloc(size);
        fireside_config *newer = (fireside_config *)(void *)bytes;
        CHECK(bytes != NULL);
        memset(bytes, 0xff, size);
        memset(bytes, 0, sizeof config);
        newer->struct_size = (uint32_t)size;
        newer->server = str("127.0.0.1:9");
        CHECK_OK(fireside_client_create(newer, &client));
        CHECK_OK(fireside_client_destroy(client));
        free(bytes);
    }
}

static void arguments(void)
{
    fireside_client client = client_of("127.0.0.1:9");
    fireside_id id;
    fireside_message_ref nothing;
    fireside_str bad, many[101];
    uint64_t request = 77, pair[2] = {0, 0};
    uint64_t *crooked = (uint64_t *)(void *)((char *)pair + 1);
    size_t n;
    char long_user[66];
    memset(&id, 1, sizeof id);
    memset(&nothing, 0, sizeof nothing);

    CHECK_STATUS(fireside_message_send(client, NULL, str("x"), &request), FIRESIDE_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(fireside_message_edit(client, &id, NULL, str("x"), &request), FIRESIDE_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(fireside_message_edit(client, &id, &nothing, str("x"), &request), FIRESIDE_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(fireside_message_react(client, &id, NULL, str("gg"), 1, &request), FIRESIDE_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(fireside_message_pin(client, &id, &nothing, 1, &request), FIRESIDE_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(fireside_message_pins(client, NULL, 0, &request), FIRESIDE_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(fireside_message_retry(client, NULL, &request), FIRESIDE_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(fireside_conversation_open(client, NULL, &request), FIRESIDE_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(fireside_conversation_set_role(client, &id, str("bob"), 0, &request), FIRESIDE_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(fireside_conversation_set_role(client, &id, str("bob"), 4, &request), FIRESIDE_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(fireside_device_revoke(client, NULL, &request), FIRESIDE_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(fireside_client_connect(client, crooked), FIRESIDE_STATUS_INVALID_ARGUMENT);

    /* Lengths: nothing there, far too much, more than memory has. */
    bad.data = NULL;
    bad.len = 5;
    CHECK_STATUS(fireside_message_send(client, &id, bad, &request), FIRESIDE_STATUS_INVALID_ARGUMENT);
    bad.data = "x";
    bad.len = 65537;
    CHECK_STATUS(fireside_message_send(client, &id, bad, &request), FIRESIDE_STATUS_INVALID_ARGUMENT);
    bad.len = SIZE_MAX;
    CHECK_STATUS(fireside_message_send(client, &id, bad, &request), FIRESIDE_STATUS_INVALID_ARGUMENT);
    CHECK_STATUS(fireside_conversation_invite(client, &id, NULL, 3, &request), FIRESIDE_STATUS_INVALID_ARGUMENT);
    for (n = 0; n < 101; n++) {
        many[n] = str("bob");
    }
    CHECK_STATUS(fireside_conversation_invite(client, &id, many, 101, &request), FIRESIDE_STATUS_TOO_MANY_NAMED);
    CHECK_STATUS(fireside_conversation_invite(client, &id, many, SIZE_MAX, &request), FIRESIDE_STATUS_TOO_MANY_NAMED);

    /* Not UTF-8: a lone continuation, an overlong form, a surrogate, a cut character. */
    {
        static const char *const broken[] = {"\x80", "\xc0\xaf", "\xed\xa0\x80", "a\xe4\xbd"};
        for (n = 0; n < sizeof broken / sizeof broken[0]; n++) {
            CHECK_STATUS(fireside_message_send(client, &id, str(broken[n]), &request), FIRESIDE_STATUS_INVALID_ARGUMENT);
            CHECK_STATUS(fireside_message_send_to_user(client, str(broken[n]), str("x"), &request),
                         FIRESIDE_STATUS_INVALID_ARGUMENT);
            CHECK_STATUS(fireside_client_set_token(client, str(broken[n]), &request), FIRESIDE_STATUS_INVALID_ARGUMENT);
            CHECK_STATUS(fireside_message_search(client, str(broken[n]), NULL, 1, &request),
                         FIRESIDE_STATUS_INVALID_ARGUMENT);
        }
    }
    /* Users. */
    memset(long_user, 'u', 65);
    long_user[65] = 0;
    CHECK_STATUS(fireside_message_send_to_user(client, str(""), str("x"), &request), FIRESIDE_STATUS_USER_INVALID);
    CHECK_STATUS(fireside_message_send_to_user(client, str(long_user), str("x"), &request), FIRESIDE_STATUS_USER_INVALID);
    CHECK_STATUS(fireside_conversation_direct(str("a"), str("b\x01"), &id), FIRESIDE_STATUS_USER_INVALID);
    CHECK_STATUS(fireside_conversation_direct(str("a"), str("b"), NULL), FIRESIDE_STATUS_INVALID_ARGUMENT);
    CHECK(request == 77);

    /* Structs to fill. */
    {
        fireside_events events;
        fireside_stats stats;
        fireside_budget budget;
        memset(&events, 0, sizeof events);
        memset(&stats, 0, sizeof stats);
        memset(&budget, 0, sizeof budget);
        CHECK_STATUS(fireside_client_events(client, &events, NULL), FIRESIDE_STATUS_INVALID_ARGUMENT);
        CHECK_STATUS(fireside_client_events(client, NULL, NULL), FIRESIDE_STATUS_INVALID_ARGUMENT);
        CHECK_STATUS(fireside_client_stats(client, &stats), FIRESIDE_STATUS_INVALID_ARGUMENT);
        CHECK_STATUS(fireside_client_stats(client, NULL), FIRESIDE_STATUS_INVALID_ARGUMENT);
        CHECK_STATUS(fireside_client_tick(client, &budget, NULL), FIRESIDE_STATUS_INVALID_ARGUMENT);
        /* A short one gets no byte more than it has. */
        memset(&stats, 0xee, sizeof stats);
        stats.struct_size = offsetof(fireside_stats, bytes_sent);
        CHECK_OK(fireside_client_stats(client, &stats));
        CHECK(stats.struct_size == offsetof(fireside_stats, bytes_sent));
        CHECK(stats.rtt_us == 0);
        CHECK(stats.bytes_sent == 0xeeeeeeeeeeeeeeee);
        budget.struct_size = sizeof budget;
        CHECK_OK(fireside_client_tick(client, &budget, NULL));
    }
    /* Nobody has to ask for the request's number. */
    CHECK_OK(fireside_client_set_visible(client, 1, NULL));
    CHECK_OK(fireside_client_destroy(client));
}

static int completed[4096];

/* Calls that are pending at the end complete once each; more than 1,024 are refused. */
static void cancelled(void)
{
    fireside_client client = client_of("127.0.0.1:9");
    fireside_id id;
    fireside_budget budget;
    uint64_t first = 0, last = 0, n;
    size_t left = 1;
    int refused = 0;
    memset(&id, 1, sizeof id);
    memset(&budget, 0, sizeof budget);
    budget.struct_size = sizeof budget;
    budget.time_us_max = 60000000;
    budget.events_max = 100;
    for (n = 0; n < 1100; n++) {
        uint64_t request = 0;
        fireside_status status = fireside_message_send(client, &id, str("never sent"), &request);
        if (status == FIRESIDE_STATUS_OK) {
            first = first ? first : request;
            last = request;
        } else {
            CHECK(status == FIRESIDE_STATUS_BUSY);
            refused++;
        }
    }
    CHECK(refused >= 1100 - 1024);
    CHECK(first != 0 && last - first < 4096);
    CHECK_OK(fireside_client_close(client));
    CHECK_STATUS(fireside_client_connect(client, NULL), FIRESIDE_STATUS_CANCELLED);
    for (n = 0; n < WAIT_MS; n++) {
        fireside_events events;
        fireside_stats stats;
        size_t count = 0, i;
        struct timespec pause = {0, 1000000};
        memset(&events, 0, sizeof events);
        events.struct_size = sizeof events;
        CHECK_OK(fireside_client_tick(client, &budget, &left));
        CHECK_OK(fireside_client_events(client, &events, &count));
        CHECK(count == events.event_count);
        for (i = 0; i < count; i++) {
            if (events.events[i].kind == FIRESIDE_EVENT_COMPLETED) {
                CHECK(events.events[i].request >= first && events.events[i].request <= last);
                completed[events.events[i].request - first]++;
                if (events.events[i].status != FIRESIDE_STATUS_OK) {
                    CHECK(events.events[i].text.len > 0);
                }
            }
        }
        memset(&stats, 0, sizeof stats);
        stats.struct_size = sizeof stats;
        CHECK_OK(fireside_client_stats(client, &stats));
        if (left == 0 && stats.pending_calls == 0) {
            break;
        }
        nanosleep(&pause, NULL);
    }
    for (n = first; n <= last; n++) {
        CHECK(completed[n - first] == 1);
    }
    CHECK_OK(fireside_client_destroy(client));
}

static void on_wake(void *data)
{
    fireside_client *client = (fireside_client *)data;
    /* From here nothing is allowed: the client would wait for itself. */
    if (fireside_client_destroy(*client) == FIRESIDE_STATUS_IN_WAKE &&
        fireside_client_tick(*client, NULL, NULL) == FIRESIDE_STATUS_IN_WAKE) {
        client[1]++;
    }
}

static void wakes(void)
{
    /* The second is how often the callback was right. It is read after destroy, which waits for the callback. */
    fireside_client pair[2] = {0, 0};
    pair[0] = client_of("127.0.0.1:9");
    CHECK_OK(fireside_client_set_wake(pair[0], on_wake, pair));
    CHECK_OK(fireside_client_set_visible(pair[0], 1, NULL));
    CHECK_OK(fireside_client_close(pair[0]));
    CHECK_OK(fireside_client_destroy(pair[0]));
    CHECK(pair[1] >= 1);
}

static void on_any_wake(void *data)
{
    int *woken = (int *)data;
    __atomic_store_n(woken, 1, __ATOMIC_SEQ_CST);
}

/* The answer of a search wakes; nothing else happens to this client, which is neither asked to connect nor shown. */
static void search_wakes(void)
{
    const struct timespec pause = {0, 1000000};
    fireside_client client = client_of("127.0.0.1:9");
    int woken = 0, round;
    CHECK_OK(fireside_client_set_wake(client, on_any_wake, &woken));
    for (round = 0; round < 20; round++) {
        const uint64_t deadline = now_ms() + WAIT_MS;
        fireside_events batch;
        uint64_t request = 0;
        size_t n, answers = 0;
        memset(&batch, 0, sizeof batch);
        batch.struct_size = sizeof batch;
        CHECK_OK(fireside_message_search(client, str("fire"), NULL, 10, &request));
        while (answers == 0) {
            while (!__atomic_exchange_n(&woken, 0, __ATOMIC_SEQ_CST)) {
                CHECK(now_ms() < deadline);
                nanosleep(&pause, NULL);
            }
            CHECK_OK(fireside_client_tick(client, NULL, NULL));
            CHECK_OK(fireside_client_events(client, &batch, NULL));
            for (n = 0; n < batch.event_count; n++) {
                answers += batch.events[n].request == request;
            }
        }
        CHECK(answers == 1);
    }
    CHECK_OK(fireside_client_destroy(client));
}

int main(void)
{
    memset(&junk, 0xab, sizeof junk);
    handles();
    configs();
    arguments();
    cancelled();
    wakes();
    search_wakes();
    printf("misuse: %d checks\n", checks_made);
    return 0;
}
