/* Two players over a real server: what one sends the other gets, and both see it in their views.
 * talk SERVER FINGERPRINT NAME_A TOKEN_A NAME_B TOKEN_B */
#include "check.h"

#define ROWS_MAX 256

/* A timeline kept from the changes alone, as an engine would. */
typedef struct {
    fireside_id conversation;
    uint64_t generation;
    size_t count;
    struct {
        uint64_t sequence;
        uint32_t body, state, edited;
        fireside_id nonce;
        char text[64];
    } rows[ROWS_MAX];
} timeline;

typedef struct {
    uint64_t request;
    fireside_event event;
    fireside_message message;
    char text[64];
} waited;

typedef struct {
    timeline *view;
    const char *text;
    uint32_t body, state;
    int edited;
} wanted_row;

static void keep(timeline *view, size_t at, const fireside_events *batch, uint32_t row_index)
{
    const fireside_timeline_row *row;
    fireside_str text;
    CHECK(row_index < batch->timeline_row_count && at < ROWS_MAX);
    row = &batch->timeline_rows[row_index];
    text = row->text;
    CHECK(text.len < sizeof view->rows[at].text);
    memset(&view->rows[at], 0, sizeof view->rows[at]);
    view->rows[at].sequence = row->sequence;
    view->rows[at].body = row->body;
    view->rows[at].state = row->state;
    view->rows[at].edited = row->edited;
    view->rows[at].nonce = row->nonce;
    if (text.len > 0) {
        memcpy(view->rows[at].text, text.data, text.len);
    }
}

static void change(timeline *view, const fireside_events *batch, const fireside_event *event)
{
    size_t size = sizeof view->rows[0], n;
    if (event->kind != FIRESIDE_EVENT_TIMELINE ||
        memcmp(&event->conversation, &view->conversation, sizeof view->conversation) != 0) {
        return;
    }
    switch (event->detail) {
    case FIRESIDE_CHANGE_RESET:
        view->generation = event->generation;
        view->count = event->count;
        for (n = 0; n < event->count; n++) {
            keep(view, n, batch, event->first + (uint32_t)n);
        }
        break;
    case FIRESIDE_CHANGE_INSERT:
        CHECK(event->index <= view->count && view->count < ROWS_MAX);
        memmove(&view->rows[event->index + 1], &view->rows[event->index], (view->count - event->index) * size);
        view->count++;
        keep(view, event->index, batch, event->first);
        break;
    case FIRESIDE_CHANGE_SET:
        CHECK(event->index < view->count);
        keep(view, event->index, batch, event->first);
        break;
    case FIRESIDE_CHANGE_REMOVE:
        CHECK(event->index < view->count);
        memmove(&view->rows[event->index], &view->rows[event->index + 1], (view->count - event->index - 1) * size);
        view->count--;
        break;
    case FIRESIDE_CHANGE_MOVE: {
        unsigned char held[sizeof view->rows[0]];
        CHECK(event->index < view->count && event->to < view->count);
        memcpy(held, &view->rows[event->index], size);
        memmove(&view->rows[event->index], &view->rows[event->index + 1], (view->count - event->index - 1) * size);
        memmove(&view->rows[event->to + 1], &view->rows[event->to], (view->count - event->to - 1) * size);
        memcpy(&view->rows[event->to], held, size);
        break;
    }
    default:
        CHECK(0 && "an unknown change");
    }
}

/* The view under test also follows while other things are waited for. */
static timeline *followed = NULL;

static int is_completion(const fireside_events *batch, const fireside_event *event, void *data)
{
    waited *wait = (waited *)data;
    if (followed != NULL) {
        change(followed, batch, event);
    }
    if (event->kind == FIRESIDE_EVENT_COMPLETED && event->request == wait->request) {
        wait->event = *event;
        return 1;
    }
    return 0;
}

static int is_online(const fireside_events *batch, const fireside_event *event, void *data)
{
    (void)batch;
    (void)data;
    CHECK(!(event->kind == FIRESIDE_EVENT_STATE && event->detail == FIRESIDE_STATE_REFUSED));
    return event->kind == FIRESIDE_EVENT_STATE && event->detail == FIRESIDE_STATE_CONNECTED;
}

static int is_message(const fireside_events *batch, const fireside_event *event, void *data)
{
    waited *wait = (waited *)data;
    uint32_t n;
    if (event->kind != FIRESIDE_EVENT_MESSAGE_RECEIVED) {
        return 0;
    }
    for (n = 0; n < event->count; n++) {
        CHECK(event->first + n < batch->message_count);
        if (same(batch->messages[event->first + n].text, wait->text)) {
            wait->message = batch->messages[event->first + n];
            return 1;
        }
    }
    return 0;
}

static int is_invited(const fireside_events *batch, const fireside_event *event, void *data)
{
    (void)batch;
    return event->kind == FIRESIDE_EVENT_INVITED &&
           memcmp(&event->conversation, data, sizeof event->conversation) == 0;
}

static int is_typing(const fireside_events *batch, const fireside_event *event, void *data)
{
    (void)batch;
    return event->kind == FIRESIDE_EVENT_TYPING && event->flag == 1 &&
           same(event->user, (const char *)data);
}

static int has_row(const fireside_events *batch, const fireside_event *event, void *data)
{
    wanted_row *want = (wanted_row *)data;
    timeline *view = want->view;
    size_t n;
    change(view, batch, event);
    for (n = 0; n < view->count; n++) {
        if (view->rows[n].body == want->body && strcmp(view->rows[n].text, want->text) == 0 &&
            (want->state == 0 || view->rows[n].state == want->state) &&
            (!want->edited || view->rows[n].edited)) {
            return 1;
        }
    }
    return 0;
}

static int is_listed(const fireside_events *batch, const fireside_event *event, void *data)
{
    uint32_t n;
    if (event->kind != FIRESIDE_EVENT_CONVERSATIONS) {
        return 0;
    }
    for (n = 0; n < event->count; n++) {
        const fireside_conversation_row *row = &batch->conversation_rows[event->first + n];
        if (row->kind == FIRESIDE_KIND_DIRECT && same(row->peer, (const char *)data)) {
            return 1;
        }
    }
    return 0;
}

/* The completion of a call that must go well; the batch stays readable. */
static fireside_event done(fireside_client client, uint64_t request, fireside_events *batch)
{
    waited wait;
    memset(&wait, 0, sizeof wait);
    wait.request = request;
    CHECK(tick_until(client, is_completion, &wait, batch));
    CHECK_STATUS(wait.event.status, FIRESIDE_STATUS_OK);
    return wait.event;
}

int main(int argc, char **argv)
{
    static timeline view, group_view;
    fireside_client ann, bob;
    fireside_events batch;
    fireside_event event;
    fireside_id direct, group;
    fireside_message_ref message;
    fireside_str users[1];
    fireside_stats stats;
    waited wait;
    wanted_row want;
    uint64_t request, sequence;
    size_t n;
    int found;

    if (argc != 7) {
        fprintf(stderr, "usage: talk SERVER FINGERPRINT NAME_A TOKEN_A NAME_B TOKEN_B\n");
        return 2;
    }
    memset(&wait, 0, sizeof wait);
    memset(&want, 0, sizeof want);
    ann = new_client(argv[1], argv[2], argv[4]);
    bob = new_client(argv[1], argv[2], argv[6]);
    CHECK_OK(fireside_client_connect(ann, NULL));
    CHECK_OK(fireside_client_connect(bob, NULL));
    CHECK(tick_until(ann, is_online, NULL, &batch));
    CHECK(tick_until(bob, is_online, NULL, &batch));

    /* A first message makes the direct conversation; it arrives, is listed and stands in both views. */
    CHECK_OK(fireside_conversation_direct(str(argv[3]), str(argv[5]), &direct));
    view.conversation = direct;
    CHECK_OK(fireside_conversation_open(bob, &direct, NULL));
    CHECK_OK(fireside_message_send_to_user(ann, str(argv[5]), str("hello \xf0\x9f\x94\xa5"), &request));
    event = done(ann, request, &batch);
    CHECK(event.detail == FIRESIDE_RESULT_SENT && event.sequence > 0 && event.at_ms > 0);
    CHECK(memcmp(&event.conversation, &direct, sizeof direct) == 0);
    sequence = event.sequence;
    followed = &view;
    want.view = &view;
    want.text = "hello \xf0\x9f\x94\xa5";
    want.body = FIRESIDE_BODY_TEXT;
    want.state = FIRESIDE_MESSAGE_RECEIVED;
    CHECK(tick_until(bob, has_row, &want, &batch));
    followed = NULL;

    /* Live notices and the list, on the other side. */
    CHECK_OK(fireside_message_send(bob, &direct, str("hi ann"), &request));
    followed = &view;
    event = done(bob, request, &batch);
    followed = NULL;
    CHECK(event.sequence == sequence + 1);
    strcpy(wait.text, "hi ann");
    CHECK(tick_until(ann, is_message, &wait, &batch));
    CHECK(same(wait.message.sender, argv[5]) && wait.message.at_ms > 0);
    CHECK(wait.message.sequence == sequence + 1);
    CHECK(memcmp(&wait.message.conversation, &direct, sizeof direct) == 0);
    CHECK_OK(fireside_client_set_visible(bob, 1, NULL));
    CHECK_OK(fireside_conversation_set_typing(ann, &direct, 1, NULL));
    followed = &view;
    CHECK(tick_until(bob, is_typing, argv[3], &batch));

    /* Edit and recall. */
    message.sequence = sequence;
    memset(&message.nonce, 0, sizeof message.nonce);
    CHECK_OK(fireside_message_edit(ann, &direct, &message, str("hello again"), &request));
    followed = NULL;
    done(ann, request, &batch);
    want.text = "hello again";
    want.edited = 1;
    CHECK(tick_until(bob, has_row, &want, &batch));

    /* Reactions and pins. */
    CHECK_OK(fireside_message_react(bob, &direct, &message, str("\xf0\x9f\x91\x8d"), 1, &request));
    done(bob, request, &batch);
    CHECK_OK(fireside_message_pin(ann, &direct, &message, 1, &request));
    done(ann, request, &batch);
    CHECK_OK(fireside_message_pins(bob, &direct, 0, &request));
    event = done(bob, request, &batch);
    CHECK(event.detail == FIRESIDE_RESULT_PINS && event.count == 1 && event.flag == 0);
    {
        const fireside_timeline_row *row = &batch.timeline_rows[event.first];
        const fireside_reaction *reaction = &batch.reactions[row->reaction_first];
        CHECK(row->pinned == 1 && row->sequence == sequence && row->reaction_count == 1);
        CHECK(same(reaction->key, "\xf0\x9f\x91\x8d"));
        CHECK(reaction->user_count == 1 && reaction->mine == 1);
        CHECK(same(batch.reaction_users[reaction->user_first], argv[5]));
    }
    CHECK_OK(fireside_message_recall(ann, &direct, &message, &request));
    done(ann, request, &batch);
    want.text = "";
    want.edited = 0;
    want.body = FIRESIDE_BODY_RECALLED;
    CHECK(tick_until(bob, has_row, &want, &batch));
    followed = &view;
    CHECK_OK(fireside_conversation_mark_read(bob, &direct, 0, &request));
    done(bob, request, &batch);
    followed = NULL;

    /* A group: made, invited, joined, members, roles. */
    users[0] = str(argv[5]);
    CHECK_OK(fireside_conversation_create_group(ann, str("raid"), users, 1, FIRESIDE_HISTORY_ALL, &request));
    event = done(ann, request, &batch);
    CHECK(event.detail == FIRESIDE_RESULT_CREATED);
    group = event.conversation;
    CHECK(tick_until(bob, is_invited, &group, &batch));
    CHECK_OK(fireside_conversation_join(bob, &group, &request));
    done(bob, request, &batch);
    CHECK_OK(fireside_conversation_set_role(ann, &group, str(argv[5]), FIRESIDE_ROLE_ADMIN, &request));
    done(ann, request, &batch);
    CHECK_OK(fireside_conversation_members(ann, &group, str(""), &request));
    event = done(ann, request, &batch);
    CHECK(event.detail == FIRESIDE_RESULT_MEMBERS && event.count == 2 && event.flag == 0);
    for (found = 0, n = 0; n < event.count; n++) {
        const fireside_member *member = &batch.members[event.first + n];
        found += same(member->user, argv[5]) && member->role == FIRESIDE_ROLE_ADMIN;
        found += same(member->user, argv[3]) && member->role == FIRESIDE_ROLE_OWNER;
    }
    CHECK(found == 2);

    /* History: somebody who opens the group later sees what was said, and loads nothing that is not there. */
    for (n = 0; n < 5; n++) {
        char text[32];
        snprintf(text, sizeof text, "line %d", (int)n);
        CHECK_OK(fireside_message_send(ann, &group, str(text), &request));
        done(ann, request, &batch);
    }
    group_view.conversation = group;
    CHECK_OK(fireside_conversation_open(bob, &group, NULL));
    want.view = &group_view;
    want.text = "line 4";
    want.body = FIRESIDE_BODY_TEXT;
    want.state = FIRESIDE_MESSAGE_RECEIVED;
    CHECK(tick_until(bob, has_row, &want, &batch));
    followed = &group_view;
    CHECK_OK(fireside_conversation_load_older(bob, &group, 50, &request));
    event = done(bob, request, &batch);
    CHECK(event.detail == FIRESIDE_RESULT_LOADED && event.flag == 1);
    want.text = "line 0";
    {
        size_t last = group_view.count;
        int line = 5;
        while (last-- > 0 && line > 0) {
            char text[32];
            snprintf(text, sizeof text, "line %d", line - 1);
            line -= strcmp(group_view.rows[last].text, text) == 0;
        }
        CHECK(line == 0);
    }
    followed = NULL;

    /* Search in what bob's device holds, devices, numbers. */
    CHECK_OK(fireside_message_search(bob, str("line 3"), &group, 10, &request));
    event = done(bob, request, &batch);
    CHECK(event.detail == FIRESIDE_RESULT_FOUND && event.count == 1);
    CHECK(same(batch.found[event.first].text, "line 3"));
    CHECK(same(batch.found[event.first].sender, argv[3]));
    CHECK_OK(fireside_client_devices(bob, &request));
    event = done(bob, request, &batch);
    CHECK(event.detail == FIRESIDE_RESULT_DEVICES && event.count >= 1);
    memset(&stats, 0, sizeof stats);
    stats.struct_size = sizeof stats;
    CHECK_OK(fireside_client_stats(bob, &stats));
    CHECK(stats.entries > 0 && stats.frames_bad == 0 && stats.pending_calls == 0);

    /* Refusals carry the code of the wire and a text. */
    CHECK_OK(fireside_conversation_leave(ann, &group, &request));
    wait.request = request;
    CHECK(tick_until(ann, is_completion, &wait, &batch));
    CHECK_STATUS(wait.event.status, FIRESIDE_STATUS_OWNER_MUST_TRANSFER);
    CHECK(wait.event.text.len > 0);
    CHECK_OK(fireside_message_send(ann, &group, str(""), &request));
    wait.request = request;
    CHECK(tick_until(ann, is_completion, &wait, &batch));
    CHECK_STATUS(wait.event.status, FIRESIDE_STATUS_TEXT_EMPTY);

    /* A third client of ann's: its list comes from the server alone. */
    {
        fireside_client again = new_client(argv[1], argv[2], argv[4]);
        CHECK_OK(fireside_client_connect(again, NULL));
        CHECK(tick_until(again, is_listed, argv[5], &batch));
        CHECK_OK(fireside_client_destroy(again));
    }
    CHECK_OK(fireside_client_disconnect(bob, &request));
    done(bob, request, &batch);
    CHECK_OK(fireside_client_destroy(ann));
    CHECK_OK(fireside_client_destroy(bob));
    printf("talk: %d checks\n", checks_made);
    return 0;
}
