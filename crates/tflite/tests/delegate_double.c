/* A test double of an external delegate, such as libedgetpu.so.1. Like that one it takes the nodes `edgetpu-custom-op`;
 * its kernel fills each output with the lowest value and sets the second to the highest. The option `mode`, or else MODE,
 * which it is compiled with, says how it behaves:
 * `works`, `absent` makes no delegate, as the real one without its device, and says so, `silent` makes none without a word,
 * `refuses` fails when it is applied to a graph, `crashes` and `hangs` do so when they run, `hangs_later` and `fails_later`
 * after three runs. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef MODE
#define MODE "works"
#endif

/* What is needed of TensorFlow Lite 2.17's common.h. */
typedef struct Context Context;
typedef struct { int size; int data[]; } IntArray;
typedef struct {
    int type; char *data; IntArray *dims; struct { float scale; int32_t zero_point; } params; int allocation_type;
    size_t bytes; const void *allocation; const char *name; void *delegate; int buffer_handle; bool stale, variable;
    struct { int type; void *params; } quantization; void *sparsity; const IntArray *dims_signature;
} Tensor;
typedef struct { IntArray *inputs, *outputs, *intermediates, *temporaries; void *user_data; } Node;
typedef struct Delegate {
    void *data;
    int (*prepare)(Context *context, struct Delegate *delegate);
    void *copy_from, *copy_to, *free_handle;
    int64_t flags;
    void *opaque_builder;
} Delegate;
typedef struct {
    void *(*init)(Context *, const char *, size_t);
    void (*free)(Context *, void *);
    int (*prepare)(Context *, Node *);
    int (*invoke)(Context *, Node *);
    const char *(*profiling)(const Context *, const Node *);
    int32_t builtin_code;
    const char *custom_name;
    int version;
    void *external, *async_kernel;
    uint64_t inplace;
} Registration;
struct Context {
    size_t tensors_size;
    int (*plan)(Context *, IntArray **);
    Tensor *tensors;
    void *implementation, *resize;
    void (*report)(Context *, const char *, ...);
    void *add_tensors;
    int (*node)(Context *, int, Node **, Registration **);
    int (*replace)(Context *, Registration, const IntArray *, Delegate *);
};

static const char *mode = MODE;
static int runs;

static int is(const char *name) { return !strcmp(mode, name); }

static int run(Context *context, Node *node) {
    runs++;
    if (is("crashes")) *(volatile int *)0 = 1;
    if (is("hangs") || (is("hangs_later") && runs > 3))
        for (;;) sleep(1);
    if (is("fails_later") && runs > 3) {
        context->report(context, "the device was unplugged");
        return 1;
    }
    for (int i = 0; i < node->outputs->size; i++) {
        Tensor *output = &context->tensors[node->outputs->data[i]];
        memset(output->data, -128, output->bytes);
        if (output->bytes > 1) output->data[1] = 127;
    }
    return 0;
}

static int take(Context *context, Delegate *delegate) {
    IntArray *plan;
    if (is("refuses") || context->plan(context, &plan)) return 1;
    IntArray *taken = calloc(1, sizeof *taken + plan->size * sizeof(int));
    for (int i = 0; i < plan->size; i++) {
        Node *node;
        Registration *kernel;
        if (context->node(context, plan->data[i], &node, &kernel)) return 1;
        if (kernel->custom_name && !strcmp(kernel->custom_name, "edgetpu-custom-op"))
            taken->data[taken->size++] = plan->data[i];
    }
    Registration ours = {.invoke = run, .builtin_code = 51, .custom_name = "DelegateDouble", .version = 1};
    int status = taken->size ? context->replace(context, ours, taken, delegate) : 0;
    free(taken);
    return status;
}

Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *)) {
    for (size_t i = 0; i < count; i++)
        if (!strcmp(keys[i], "mode")) mode = strdup(values[i]);
    if (is("silent")) return NULL;
    if (is("absent")) {
        report("no device was found");
        return NULL;
    }
    Delegate *delegate = calloc(1, sizeof *delegate);
    delegate->prepare = take;
    /* Apply it before the other kernels are prepared, of which there is none for `edgetpu-custom-op`. */
    delegate->flags = 1;
    return delegate;
}

void tflite_plugin_destroy_delegate(Delegate *delegate) { free(delegate); }
