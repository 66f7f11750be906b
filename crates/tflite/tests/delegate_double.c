/* A test double of an external delegate, such as libedgetpu.so.1. Its option `mode` says how it behaves:
 * `works` takes no operator, `absent` makes no delegate, as the real one without its device, and says so,
 * `silent` makes none without a word, `refuses` fails when it is applied to a graph. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* TfLiteDelegate of TensorFlow Lite 2.17. */
typedef struct Delegate {
    void *data;
    int (*prepare)(void *context, struct Delegate *delegate);
    void *copy_from, *copy_to, *free_handle;
    int64_t flags;
    void *opaque_builder;
} Delegate;

static int works(void *context, Delegate *delegate) { return 0; }
static int refuses(void *context, Delegate *delegate) { return 1; }

Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *)) {
    const char *mode = "works";
    for (size_t i = 0; i < count; i++)
        if (!strcmp(keys[i], "mode")) mode = values[i];
    if (!strcmp(mode, "silent")) return NULL;
    if (!strcmp(mode, "absent")) {
        report("no device was found");
        return NULL;
    }
    Delegate *delegate = calloc(1, sizeof *delegate);
    delegate->prepare = strcmp(mode, "refuses") ? works : refuses;
    return delegate;
}

void tflite_plugin_destroy_delegate(Delegate *delegate) { free(delegate); }
