/* The numbers that a compiled game relies on: sizes, places and values. types.rs asserts the same in Rust. A line that must change
 * here means a new ABI version. */
#include "check.h"

#if UINTPTR_MAX == 0xffffffffffffffffu
STATIC_CHECK(sizeof(fireside_client) == 8);
STATIC_CHECK(sizeof(fireside_status) == 4);
STATIC_CHECK(sizeof(fireside_str) == 16);
STATIC_CHECK(sizeof(fireside_id) == 16);
STATIC_CHECK(sizeof(fireside_message_ref) == 24);
STATIC_CHECK(sizeof(fireside_config) == 184);
STATIC_CHECK(offsetof(fireside_config, server) == 8);
STATIC_CHECK(offsetof(fireside_config, fingerprint) == 40);
STATIC_CHECK(offsetof(fireside_config, token) == 72);
STATIC_CHECK(offsetof(fireside_config, device) == 152);
STATIC_CHECK(offsetof(fireside_config, flags) == 176);
STATIC_CHECK(sizeof(fireside_budget) == 16);
STATIC_CHECK(sizeof(fireside_event) == 144);
STATIC_CHECK(offsetof(fireside_event, request) == 8);
STATIC_CHECK(offsetof(fireside_event, conversation) == 16);
STATIC_CHECK(offsetof(fireside_event, sequence) == 48);
STATIC_CHECK(offsetof(fireside_event, user) == 80);
STATIC_CHECK(offsetof(fireside_event, detail) == 112);
STATIC_CHECK(offsetof(fireside_event, count) == 132);
STATIC_CHECK(sizeof(fireside_timeline_row) == 120);
STATIC_CHECK(offsetof(fireside_timeline_row, sender) == 40);
STATIC_CHECK(offsetof(fireside_timeline_row, body) == 88);
STATIC_CHECK(sizeof(fireside_conversation_row) == 128);
STATIC_CHECK(offsetof(fireside_conversation_row, name) == 48);
STATIC_CHECK(sizeof(fireside_member) == 64);
STATIC_CHECK(sizeof(fireside_device) == 72);
STATIC_CHECK(sizeof(fireside_found) == 80);
STATIC_CHECK(sizeof(fireside_events) == 152);
STATIC_CHECK(offsetof(fireside_events, found_count) == 112);
STATIC_CHECK(sizeof(fireside_reaction) == 32);
STATIC_CHECK(offsetof(fireside_timeline_row, pinned) == 108);
STATIC_CHECK(offsetof(fireside_events, messages) == 24);
STATIC_CHECK(sizeof(fireside_message) == 72);
STATIC_CHECK(offsetof(fireside_message, text) == 48);
STATIC_CHECK(sizeof(fireside_stats) == 152);
#endif

STATIC_CHECK(FIRESIDE_ABI_VERSION == 1);
STATIC_CHECK(FIRESIDE_STATUS_OK == 0);
STATIC_CHECK(FIRESIDE_STATUS_INVALID_HANDLE == 1);
STATIC_CHECK(FIRESIDE_STATUS_INVALID_ARGUMENT == 2);
STATIC_CHECK(FIRESIDE_STATUS_POISONED == 3);
STATIC_CHECK(FIRESIDE_STATUS_IN_USE == 4);
STATIC_CHECK(FIRESIDE_STATUS_IN_WAKE == 5);
STATIC_CHECK(FIRESIDE_STATUS_SERVER_INVALID == 6);
STATIC_CHECK(FIRESIDE_STATUS_SERVER_NAME_INVALID == 7);
STATIC_CHECK(FIRESIDE_STATUS_USER_NEEDED == 8);
STATIC_CHECK(FIRESIDE_STATUS_TLS_UNAVAILABLE == 9);
STATIC_CHECK(FIRESIDE_STATUS_THREAD_UNAVAILABLE == 10);
STATIC_CHECK(FIRESIDE_STATUS_TOO_MANY_CLIENTS == 11);
STATIC_CHECK(FIRESIDE_STATUS_PANIC == 127);
STATIC_CHECK(FIRESIDE_STATUS_BAD_FRAME == 100);
STATIC_CHECK(FIRESIDE_STATUS_TOKEN_EXPIRED == 201);
STATIC_CHECK(FIRESIDE_STATUS_NOT_FOUND == 300);
STATIC_CHECK(FIRESIDE_STATUS_TEXT_TOO_LONG == 401);
STATIC_CHECK(FIRESIDE_STATUS_RATE_LIMITED == 500);
STATIC_CHECK(FIRESIDE_STATUS_BUSY == 601);
STATIC_CHECK(FIRESIDE_STATUS_OUTBOX_FULL == 602);
STATIC_CHECK(FIRESIDE_STATUS_CANCELLED == 604);
STATIC_CHECK(FIRESIDE_EVENT_COMPLETED == 1);
STATIC_CHECK(FIRESIDE_EVENT_TYPING == 10);
STATIC_CHECK(FIRESIDE_EVENT_SYNC == 11);
STATIC_CHECK(FIRESIDE_SYNC_COMPLETE == 2);
STATIC_CHECK(FIRESIDE_RESULT_FOUND == 6);
STATIC_CHECK(FIRESIDE_STATE_REFUSED == 4);
STATIC_CHECK(FIRESIDE_CHANGE_RESET == 5);
STATIC_CHECK(FIRESIDE_BODY_HOLE == 8);
STATIC_CHECK(FIRESIDE_MESSAGE_RECEIVED == 7);
STATIC_CHECK(FIRESIDE_ROLE_OWNER == 3);
STATIC_CHECK(FIRESIDE_HISTORY_ALL == UINT64_MAX);

/* SHA-256 of "fireside/direct/1" 03 "ann" 03 "bob", its first 16 bytes, as docs/protocol.md says. */
static const uint8_t direct[16] = {0x04, 0x1b, 0x7b, 0xd2, 0x57, 0x02, 0x66, 0x69, 0x15, 0x93, 0x24, 0x22, 0x50, 0xe3, 0xca, 0xf0};

int main(void)
{
    fireside_id one, other;
    CHECK(fireside_abi_version() == FIRESIDE_ABI_VERSION);
    CHECK(strlen(fireside_version_string()) >= 5);
    CHECK(strcmp(fireside_status_name(FIRESIDE_STATUS_OUTBOX_FULL), "outbox_full") == 0);
    CHECK(strcmp(fireside_status_name(FIRESIDE_STATUS_PANIC), "panic") == 0);
    CHECK(strcmp(fireside_status_name(-5), "unknown") == 0);
    CHECK(strcmp(fireside_status_name(INT32_MAX), "unknown") == 0);
    CHECK(strlen(fireside_status_text(FIRESIDE_STATUS_INVALID_HANDLE)) > 20);
    CHECK(fireside_status_retryable(FIRESIDE_STATUS_OUTBOX_FULL) == 1);
    CHECK(fireside_status_retryable(FIRESIDE_STATUS_FORBIDDEN) == 0);
    CHECK(fireside_status_retryable(FIRESIDE_STATUS_OK) == 0);
    CHECK_OK(fireside_conversation_direct(str("ann"), str("bob"), &one));
    CHECK_OK(fireside_conversation_direct(str("bob"), str("ann"), &other));
    CHECK(memcmp(&one, &other, sizeof one) == 0);
    CHECK(memcmp(one.bytes, direct, sizeof direct) == 0);
    printf("abi: %d checks\n", checks_made);
    return 0;
}
