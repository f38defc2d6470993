/* What a frame costs the game's thread, from C: a burst comes in while nothing is ticked, then all of it is taken in one tick and every
 * text is read to its last byte. `fireside bench frame` starts it and sends the bursts.
 *
 * frame SERVER FINGERPRINT TOKEN USER FOLDER PEER...
 *
 * Opens the conversations with the first three peers, says "ready", and answers each line "burst N" on its input, once N entries have come
 * and nothing moves any more, with one line of JSON. */
#include "check.h"

#define ON_SCREEN 3
/* Frames measured after the one that takes the burst: views that had no room in its queue are whole after them. */
#define FRAMES_AFTER 2
/* Nothing moved for so long: everything is there. */
#define QUIET_MS 150

typedef struct {
    uint64_t messages, bytes, rows, sum;
} reading;

static fireside_budget all;

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static fireside_stats numbers(fireside_client client)
{
    fireside_stats stats;
    memset(&stats, 0, sizeof stats);
    stats.struct_size = sizeof stats;
    CHECK_OK(fireside_client_stats(client, &stats));
    /* These move by themselves. */
    stats.rtt_us = stats.bytes_sent = stats.bytes_received = 0;
    return stats;
}

static void pause_ms(long ms)
{
    struct timespec pause;
    pause.tv_sec = 0;
    pause.tv_nsec = ms * 1000000;
    nanosleep(&pause, NULL);
}

/* Until nothing moves any more. */
static void settle(fireside_client client, int ticking)
{
    uint64_t deadline = now_ms() + WAIT_MS, since = now_ms();
    fireside_stats before = numbers(client);
    while (now_ms() - since < QUIET_MS) {
        fireside_stats now;
        CHECK(now_ms() < deadline);
        pause_ms(5);
        if (ticking) {
            CHECK_OK(fireside_client_tick(client, &all, NULL));
        }
        now = numbers(client);
        if (memcmp(&now, &before, sizeof now) != 0) {
            before = now;
            since = now_ms();
        }
    }
}

/* A sum that the compiler cannot leave out. */
static uint64_t sum_of(fireside_str text)
{
    uint64_t sum = 0, eight = 0;
    size_t n = 0;
    for (; n + sizeof eight <= text.len; n += sizeof eight) {
        memcpy(&eight, text.data + n, sizeof eight);
        sum += eight;
    }
    for (; n < text.len; n++) {
        sum += (unsigned char)text.data[n];
    }
    return sum;
}

/* What is measured. */
static double measure(fireside_client client, reading *read)
{
    fireside_events batch;
    size_t count = 0, n, row;
    double start, end;
    memset(&batch, 0, sizeof batch);
    batch.struct_size = sizeof batch;
    start = now_us();
    CHECK_OK(fireside_client_tick(client, &all, NULL));
    CHECK_OK(fireside_client_events(client, &batch, &count));
    for (n = 0; n < count; n++) {
        const fireside_event *event = &batch.events[n];
        if (event->kind == FIRESIDE_EVENT_MESSAGE_RECEIVED) {
            for (row = event->first; row < (size_t)event->first + event->count; row++) {
                fireside_str text = batch.messages[row].text;
                read->messages++;
                read->bytes += text.len;
                read->sum += sum_of(text);
            }
        } else if (event->kind == FIRESIDE_EVENT_TIMELINE) {
            for (row = event->first; row < (size_t)event->first + event->count; row++) {
                read->rows++;
                read->sum += sum_of(batch.timeline_rows[row].text);
            }
        }
    }
    end = now_us();
    return end - start;
}

static fireside_client reader(char **argv)
{
    fireside_config config;
    fireside_client client = 0;
    memset(&config, 0, sizeof config);
    config.struct_size = sizeof config;
    config.server = str(argv[1]);
    config.trust = FIRESIDE_TRUST_PINNED;
    CHECK(read_fingerprint(argv[2], config.fingerprint));
    config.token = str(argv[3]);
    config.user = str(argv[4]);
    config.folder = str(argv[5]);
    CHECK_OK(fireside_client_create(&config, &client));
    return client;
}

int main(int argc, char **argv)
{
    fireside_client client;
    uint64_t entries;
    char line[64];
    int n;
    if (argc < 7) {
        fprintf(stderr, "usage: frame SERVER FINGERPRINT TOKEN USER FOLDER PEER...\n");
        return 2;
    }
    all.struct_size = sizeof all;
    all.events_max = UINT32_MAX;
    all.time_us_max = 60000000;
    client = reader(argv);
    CHECK_OK(fireside_client_connect(client, NULL));
    for (n = 6; n < argc && n < 6 + ON_SCREEN; n++) {
        fireside_id conversation;
        CHECK_OK(fireside_conversation_direct(str(argv[4]), str(argv[n]), &conversation));
        CHECK_OK(fireside_conversation_open(client, &conversation, NULL));
    }
    settle(client, 1);
    printf("ready\n");
    fflush(stdout);
    entries = numbers(client).entries;
    while (fgets(line, sizeof line, stdin) != NULL) {
        uint64_t burst = 0, deadline = now_ms() + WAIT_MS;
        reading read;
        double us;
        memset(&read, 0, sizeof read);
        CHECK(strncmp(line, "burst ", 6) == 0);
        burst = strtoull(line + 6, NULL, 10);
        entries += burst;
        while (numbers(client).entries < entries) {
            CHECK(now_ms() < deadline);
            pause_ms(5);
        }
        settle(client, 0);
        us = measure(client, &read);
        /* What the views have gathered since that frame's events were made comes with the next ones: it belongs to the burst. */
        for (n = 0; n < FRAMES_AFTER; n++) {
            settle(client, 0);
            us += measure(client, &read);
        }
        CHECK(read.messages == burst);
        /* What a burst leaves does not count for the next, which comes with the answer. */
        settle(client, 1);
        printf("{\"us\":%.1f,\"messages\":%llu,\"bytes\":%llu,\"rows\":%llu,\"sum\":%llu}\n", us,
               (unsigned long long)read.messages, (unsigned long long)read.bytes, (unsigned long long)read.rows,
               (unsigned long long)read.sum);
        fflush(stdout);
    }
    CHECK_OK(fireside_client_destroy(client));
    return 0;
}
