/* A panic inside arrives as a status, poisons that client alone, and says so. Needs a library with the feature test-hooks. */
#include "check.h"

#ifdef __cplusplus
extern "C" {
#endif
fireside_status fireside_test_panic(fireside_client client);
fireside_status fireside_test_panic_in_tick(fireside_client client);
#ifdef __cplusplus
}
#endif

static fireside_client a_client(void)
{
    fireside_config config;
    fireside_client client = 0;
    memset(&config, 0, sizeof config);
    config.struct_size = sizeof config;
    config.server = str("127.0.0.1:9");
    CHECK_OK(fireside_client_create(&config, &client));
    return client;
}

int main(void)
{
    fireside_client broken = a_client(), other = a_client(), third = a_client();
    CHECK_OK(fireside_client_tick(broken, NULL, NULL));
    CHECK_STATUS(fireside_test_panic(broken), FIRESIDE_STATUS_PANIC);
    CHECK_STATUS(fireside_client_tick(broken, NULL, NULL), FIRESIDE_STATUS_POISONED);
    CHECK_STATUS(fireside_client_connect(broken, NULL), FIRESIDE_STATUS_POISONED);
    CHECK_STATUS(fireside_test_panic(broken), FIRESIDE_STATUS_POISONED);
    CHECK(strstr(fireside_status_text(FIRESIDE_STATUS_POISONED), "destroy") != NULL);
    CHECK_STATUS(fireside_test_panic(0), FIRESIDE_STATUS_INVALID_HANDLE);
    /* The others know nothing of it. */
    CHECK_OK(fireside_client_tick(other, NULL, NULL));
    CHECK_STATUS(fireside_test_panic_in_tick(third), FIRESIDE_STATUS_PANIC);
    CHECK_OK(fireside_client_tick(other, NULL, NULL));
    CHECK_OK(fireside_client_destroy(broken));
    CHECK_OK(fireside_client_destroy(third));
    CHECK_STATUS(fireside_client_destroy(broken), FIRESIDE_STATUS_INVALID_HANDLE);
    CHECK_OK(fireside_client_destroy(other));
    printf("panic: %d checks\n", checks_made);
    return 0;
}
