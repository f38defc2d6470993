/* A chat in a terminal: one C file over fireside.h.
 *
 *   chat SERVER FINGERPRINT NAME PEER      (the token of NAME is read from FIRESIDE_TOKEN)
 *
 * Everything typed goes to PEER; what PEER says is shown. Commands: /more loads older messages, /last LINE edits the last own message,
 * /undo takes it back, /quit leaves. The game's part (fireside_client_tick once a frame) is played by a loop that looks at the keyboard
 * and at the client fifty times a second. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "fireside.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As many as a view of the library holds, and some. */
#define ROWS_MAX 256
#define LINE_MAX_BYTES 4096

typedef struct {
    uint64_t row;      /* stable: tells a changed row from a new one */
    uint64_t sequence; /* 0 while unsent */
    fireside_id nonce;
    uint32_t state;
    int own;
} line;

typedef struct {
    fireside_client client;
    const char *name, *peer;
    fireside_id conversation;
    line lines[ROWS_MAX];
    size_t count;
    int running;
} chat;

static fireside_str str(const char *text)
{
    fireside_str view;
    view.data = text;
    view.len = strlen(text);
    return view;
}

/* Says what a call answered, if it was not OK. */
static int ok(fireside_status status, const char *what)
{
    if (status != FIRESIDE_STATUS_OK) {
        printf("! %s: %s (%s)\n", what, fireside_status_text(status), fireside_status_name(status));
    }
    return status == FIRESIDE_STATUS_OK;
}

static const char *mark(uint32_t state)
{
    switch (state) {
    case FIRESIDE_MESSAGE_SENDING:
        return " …";
    case FIRESIDE_MESSAGE_SENT:
        return " ✓";
    case FIRESIDE_MESSAGE_DELIVERED:
        return " ✓✓";
    case FIRESIDE_MESSAGE_READ:
        return " ✓✓ read";
    case FIRESIDE_MESSAGE_FAILED:
        return " ✗";
    default:
        return "";
    }
}

static void print_row(const fireside_timeline_row *row)
{
    fireside_str sender = row->sender, text = row->text, subject = row->subject;
    switch (row->body) {
    case FIRESIDE_BODY_TEXT:
        printf("<%.*s> %.*s%s%s\n", (int)sender.len, sender.len ? sender.data : "", (int)text.len,
               text.len ? text.data : "", row->edited ? " (edited)" : "", mark(row->state));
        break;
    case FIRESIDE_BODY_RECALLED:
        printf("<%.*s> (taken back)\n", (int)sender.len, sender.len ? sender.data : "");
        break;
    case FIRESIDE_BODY_JOINED:
        printf("* %.*s joined\n", (int)subject.len, subject.len ? subject.data : "");
        break;
    case FIRESIDE_BODY_LEFT:
        printf("* %.*s left\n", (int)subject.len, subject.len ? subject.data : "");
        break;
    default:
        break;
    }
}

/* Keeps row `from` of the batch as line `at`. */
static void keep(chat *c, size_t at, const fireside_events *batch, uint32_t from)
{
    const fireside_timeline_row *row = &batch->timeline_rows[from];
    fireside_str sender = row->sender;
    line *to = &c->lines[at];
    int changed = to->row != row->row || to->state != row->state || row->edited || row->body == FIRESIDE_BODY_RECALLED;
    to->row = row->row;
    to->sequence = row->sequence;
    to->nonce = row->nonce;
    to->state = row->state;
    to->own = sender.len == strlen(c->name) && memcmp(sender.data, c->name, sender.len) == 0;
    if (changed) {
        print_row(row);
    }
}

/* The library sends changes, not whole lists; a chat that draws a screen would apply them to it in the same way. */
static void on_timeline(chat *c, const fireside_events *batch, const fireside_event *event)
{
    size_t n, after;
    line held;
    switch (event->detail) {
    case FIRESIDE_CHANGE_RESET:
        memset(c->lines, 0, sizeof c->lines);
        c->count = event->count < ROWS_MAX ? event->count : ROWS_MAX;
        for (n = 0; n < c->count; n++) {
            keep(c, n, batch, event->first + (uint32_t)n);
        }
        break;
    case FIRESIDE_CHANGE_INSERT:
        if (event->index > c->count || c->count == ROWS_MAX) {
            break;
        }
        after = c->count - event->index;
        memmove(&c->lines[event->index + 1], &c->lines[event->index], after * sizeof(line));
        memset(&c->lines[event->index], 0, sizeof(line));
        c->count++;
        keep(c, event->index, batch, event->first);
        break;
    case FIRESIDE_CHANGE_SET:
        if (event->index < c->count) {
            keep(c, event->index, batch, event->first);
        }
        break;
    case FIRESIDE_CHANGE_REMOVE:
        if (event->index < c->count) {
            c->count--;
            memmove(&c->lines[event->index], &c->lines[event->index + 1], (c->count - event->index) * sizeof(line));
        }
        break;
    case FIRESIDE_CHANGE_MOVE:
        if (event->index < c->count && event->to < c->count) {
            held = c->lines[event->index];
            after = c->count - event->index - 1;
            memmove(&c->lines[event->index], &c->lines[event->index + 1], after * sizeof(line));
            after = c->count - event->to - 1;
            memmove(&c->lines[event->to + 1], &c->lines[event->to], after * sizeof(line));
            c->lines[event->to] = held;
        }
        break;
    default:
        break;
    }
}

static void on_state(const fireside_event *event)
{
    static const char *const names[] = {"offline", "connecting", "connected", "reconnecting", "refused"};
    fireside_str text = event->text;
    if (event->detail < sizeof names / sizeof names[0]) {
        printf("* %s %.*s\n", names[event->detail], (int)text.len, text.len ? text.data : "");
    }
}

static void on_event(chat *c, const fireside_events *batch, const fireside_event *event)
{
    fireside_str text = event->text;
    switch (event->kind) {
    case FIRESIDE_EVENT_STATE:
        on_state(event);
        break;
    case FIRESIDE_EVENT_COMPLETED:
        if (event->status != FIRESIDE_STATUS_OK) {
            printf("! %.*s\n", (int)text.len, text.len ? text.data : "");
        }
        break;
    case FIRESIDE_EVENT_TIMELINE:
        on_timeline(c, batch, event);
        break;
    case FIRESIDE_EVENT_MEMORY_MODE:
        printf("! nothing is kept on disk: %.*s\n", (int)text.len, text.len ? text.data : "");
        break;
    default:
        break; /* a newer library has kinds that this program does not know */
    }
}

/* What a game does once a frame. */
static void frame(chat *c)
{
    fireside_events batch;
    size_t count = 0, n;
    memset(&batch, 0, sizeof batch);
    batch.struct_size = sizeof batch;
    if (!ok(fireside_client_tick(c->client, NULL, NULL), "tick") ||
        !ok(fireside_client_events(c->client, &batch, &count), "events")) {
        c->running = 0;
        return;
    }
    for (n = 0; n < count; n++) {
        on_event(c, &batch, &batch.events[n]);
    }
    if (count > 0) {
        fflush(stdout);
    }
}

/* The newest own message, for /last and /undo. */
static int last_own(const chat *c, fireside_message_ref *message)
{
    size_t n = c->count;
    while (n-- > 0) {
        if (c->lines[n].own) {
            message->sequence = c->lines[n].sequence;
            message->nonce = c->lines[n].nonce;
            return 1;
        }
    }
    printf("! there is no message of yours\n");
    return 0;
}

static void typed(chat *c, const char *text)
{
    fireside_message_ref message;
    if (strcmp(text, "/quit") == 0) {
        c->running = 0;
    } else if (strcmp(text, "/more") == 0) {
        ok(fireside_conversation_load_older(c->client, &c->conversation, 50, NULL), "more");
    } else if (strncmp(text, "/last ", 6) == 0) {
        if (last_own(c, &message)) {
            ok(fireside_message_edit(c->client, &c->conversation, &message, str(text + 6), NULL), "edit");
        }
    } else if (strcmp(text, "/undo") == 0) {
        if (last_own(c, &message)) {
            ok(fireside_message_recall(c->client, &c->conversation, &message, NULL), "recall");
        }
    } else if (text[0] != '\0') {
        /* The first one makes the conversation. */
        ok(fireside_message_send_to_user(c->client, str(c->peer), str(text), NULL), "send");
    }
}

/* Takes whole lines out of what was typed so far. */
static void take_lines(chat *c, char *buffer, size_t *used)
{
    char *end;
    while (c->running && (end = (char *)memchr(buffer, '\n', *used)) != NULL) {
        *end = '\0';
        typed(c, buffer);
        *used -= (size_t)(end + 1 - buffer);
        memmove(buffer, end + 1, *used);
    }
    if (*used == LINE_MAX_BYTES) {
        printf("! that line is too long\n");
        *used = 0;
    }
}

static int read_fingerprint(const char *hex, uint8_t out[32])
{
    size_t n;
    for (n = 0; n < 32; n++) {
        unsigned byte;
        while (*hex == ':') {
            hex++;
        }
        if (sscanf(hex, "%2x", &byte) != 1) {
            return 0;
        }
        out[n] = (uint8_t)byte;
        hex += 2;
    }
    return *hex == '\0';
}

static int start(chat *c, const char *server, const char *fingerprint)
{
    const char *token = getenv("FIRESIDE_TOKEN");
    fireside_config config;
    if (fireside_abi_version() != FIRESIDE_ABI_VERSION) {
        fprintf(stderr, "the library is of another version than the header\n");
        return 0;
    }
    memset(&config, 0, sizeof config);
    config.struct_size = sizeof config;
    config.server = str(server);
    config.trust = FIRESIDE_TRUST_PINNED;
    config.user = str(c->name);
    config.token = str(token != NULL ? token : "");
    config.agent = str("c-chat/0.1");
    if (!read_fingerprint(fingerprint, config.fingerprint)) {
        fprintf(stderr, "the fingerprint is not 64 hexadecimal digits\n");
        return 0;
    }
    return ok(fireside_conversation_direct(config.user, str(c->peer), &c->conversation), "names") &&
           ok(fireside_client_create(&config, &c->client), "create") &&
           ok(fireside_client_connect(c->client, NULL), "connect") &&
           ok(fireside_client_set_visible(c->client, 1, NULL), "visible") &&
           ok(fireside_conversation_open(c->client, &c->conversation, NULL), "open");
}

int main(int argc, char **argv)
{
    static chat c;
    static char buffer[LINE_MAX_BYTES];
    size_t used = 0;
    if (argc != 5) {
        fprintf(stderr, "usage: chat SERVER FINGERPRINT NAME PEER   (with the token in FIRESIDE_TOKEN)\n");
        return 2;
    }
    c.name = argv[3];
    c.peer = argv[4];
    c.running = start(&c, argv[1], argv[2]);
    while (c.running) {
        struct pollfd keyboard;
        keyboard.fd = STDIN_FILENO;
        keyboard.events = POLLIN;
        keyboard.revents = 0;
        if (poll(&keyboard, 1, 20) < 0 && errno != EINTR) {
            break;
        }
        if (keyboard.revents != 0) {
            ssize_t got = read(STDIN_FILENO, buffer + used, sizeof buffer - used);
            if (got <= 0) {
                break;
            }
            used += (size_t)got;
            take_lines(&c, buffer, &used);
        }
        frame(&c);
    }
    /* Waits at most 250 ms; the second time it would say INVALID_HANDLE. */
    return c.client == 0 || !ok(fireside_client_destroy(c.client), "destroy");
}
