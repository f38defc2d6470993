/* One frame of a busy evening: messages that came in while the game did not tick are taken in with one tick and read to the last
 * byte. frame SERVER FINGERPRINT TOKEN EVENTS_MIN CONVERSATION...
 *
 * Opens the first three conversations (32 hexadecimal digits each), says "ready" on a line, waits for a line on its input (the
 * writers are done), then without ticking until EVENTS_MIN events wait, and prints what the tick and the reading took. */
#include "check.h"

#define OPEN_MAX 3

static int read_id(const char *hex, fireside_id *id)
{
    size_t n;
    if (strlen(hex) != 32) {
        return 0;
    }
    for (n = 0; n < 16; n++) {
        unsigned byte;
        if (sscanf(hex + 2 * n, "%2x", &byte) != 1) {
            return 0;
        }
        id->bytes[n] = (uint8_t)byte;
    }
    return 1;
}

static int opened = 0, opened_wanted = 0;

static int is_open(const fireside_events *batch, const fireside_event *event, void *data)
{
    (void)batch;
    (void)data;
    opened += event->kind == FIRESIDE_EVENT_TIMELINE && event->detail == FIRESIDE_CHANGE_RESET;
    return opened >= opened_wanted;
}

static int is_online(const fireside_events *batch, const fireside_event *event, void *data)
{
    (void)batch;
    (void)data;
    return event->kind == FIRESIDE_EVENT_STATE && event->detail == FIRESIDE_STATE_CONNECTED;
}

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* A sum that the compiler cannot leave out. */
static uint64_t read_text(const fireside_events *batch, fireside_span span, uint64_t *bytes)
{
    fireside_str text = fireside_text(batch, span);
    uint64_t sum = 0, eight = 0;
    size_t n = 0;
    for (; n + 8 <= text.len; n += 8) {
        memcpy(&eight, text.data + n, 8);
        sum += eight;
    }
    for (; n < text.len; n++) {
        sum += (unsigned char)text.data[n];
    }
    *bytes += text.len;
    return sum;
}

int main(int argc, char **argv)
{
    fireside_client client;
    fireside_events batch;
    fireside_budget budget;
    fireside_stats stats;
    uint64_t deadline, bytes = 0, messages = 0, rows = 0, sum = 0, events_min;
    size_t count = 0, left = 0, n, i;
    double start, end;
    char line[64];

    if (argc < 6) {
        fprintf(stderr, "usage: frame SERVER FINGERPRINT TOKEN EVENTS_MIN CONVERSATION...\n");
        return 2;
    }
    events_min = strtoull(argv[4], NULL, 10);
    client = new_client(argv[1], argv[2], argv[3]);
    CHECK_OK(fireside_client_connect(client, NULL));
    CHECK(tick_until(client, is_online, NULL, &batch));
    for (n = 5; n < (size_t)argc && n < 5 + OPEN_MAX; n++) {
        fireside_id id;
        CHECK(read_id(argv[n], &id));
        CHECK_OK(fireside_conversation_open(client, &id, NULL));
        opened_wanted++;
    }
    CHECK(tick_until(client, is_open, NULL, &batch));
    /* Warm, and nothing left over. */
    memset(&budget, 0, sizeof budget);
    budget.struct_size = sizeof budget;
    budget.events_max = 1000000;
    budget.time_us_max = 60000000;
    CHECK_OK(fireside_client_tick(client, &budget, NULL));
    printf("ready\n");
    fflush(stdout);
    CHECK(fgets(line, sizeof line, stdin) != NULL);

    memset(&stats, 0, sizeof stats);
    stats.struct_size = sizeof stats;
    deadline = now_ms() + WAIT_MS;
    do {
        struct timespec pause = {0, 1000000};
        CHECK(now_ms() < deadline);
        nanosleep(&pause, NULL);
        CHECK_OK(fireside_client_stats(client, &stats));
    } while (stats.waiting_events < events_min);

    memset(&batch, 0, sizeof batch);
    batch.struct_size = sizeof batch;
    start = now_us();
    CHECK_OK(fireside_client_tick(client, &budget, &left));
    CHECK_OK(fireside_client_events(client, &batch, &count));
    for (n = 0; n < count; n++) {
        const fireside_event *event = &batch.events[n];
        sum += read_text(&batch, event->user, &bytes);
        sum += read_text(&batch, event->text, &bytes);
        switch (event->kind) {
        case FIRESIDE_EVENT_MESSAGE_RECEIVED:
            messages++;
            break;
        case FIRESIDE_EVENT_TIMELINE:
            for (i = event->first; i < (size_t)event->first + event->count; i++) {
                sum += read_text(&batch, batch.timeline_rows[i].sender, &bytes);
                sum += read_text(&batch, batch.timeline_rows[i].text, &bytes);
                rows++;
            }
            break;
        case FIRESIDE_EVENT_CONVERSATIONS:
            for (i = event->first; i < (size_t)event->first + event->count; i++) {
                sum += read_text(&batch, batch.conversation_rows[i].name, &bytes);
                sum += read_text(&batch, batch.conversation_rows[i].preview, &bytes);
                rows++;
            }
            break;
        default:
            break;
        }
    }
    end = now_us();
    printf("{\"us\":%.1f,\"bytes\":%llu,\"messages\":%llu,\"rows\":%llu,\"events\":%llu,\"left\":%llu,\"sum\":%llu}\n",
           end - start, (unsigned long long)bytes, (unsigned long long)messages, (unsigned long long)rows,
           (unsigned long long)count, (unsigned long long)left, (unsigned long long)sum);
    CHECK_OK(fireside_client_destroy(client));
    return 0;
}
