/* Runs a model with the library's own kernels: operators MODEL INPUT. Writes each output as its size (4 bytes) and its bytes. */
#include <stdint.h>
#include <stdio.h>

/* What of TensorFlow Lite's C interface is used; its headers are not needed for it. */
extern void *TfLiteModelCreateFromFile(const char *);
extern void *TfLiteInterpreterOptionsCreate(void);
extern void TfLiteInterpreterOptionsSetNumThreads(void *, int32_t);
extern void *TfLiteInterpreterCreate(void *, void *);
extern int TfLiteInterpreterAllocateTensors(void *);
extern int TfLiteInterpreterInvoke(void *);
extern void *TfLiteInterpreterGetInputTensor(void *, int32_t);
extern const void *TfLiteInterpreterGetOutputTensor(void *, int32_t);
extern int32_t TfLiteInterpreterGetOutputTensorCount(void *);
extern size_t TfLiteTensorByteSize(const void *);
extern void *TfLiteTensorData(const void *);

int main(int count, char **arguments) {
    if (count != 3) return 1;
    void *options = TfLiteInterpreterOptionsCreate();
    TfLiteInterpreterOptionsSetNumThreads(options, 1);
    void *interpreter = TfLiteInterpreterCreate(TfLiteModelCreateFromFile(arguments[1]), options);
    if (!interpreter || TfLiteInterpreterAllocateTensors(interpreter)) return 2;
    void *input = TfLiteInterpreterGetInputTensor(interpreter, 0);
    FILE *file = fopen(arguments[2], "rb");
    if (!file || fread(TfLiteTensorData(input), 1, TfLiteTensorByteSize(input), file) != TfLiteTensorByteSize(input)) return 3;
    if (TfLiteInterpreterInvoke(interpreter)) return 4;
    for (int32_t i = 0; i < TfLiteInterpreterGetOutputTensorCount(interpreter); i++) {
        const void *output = TfLiteInterpreterGetOutputTensor(interpreter, i);
        uint32_t size = TfLiteTensorByteSize(output);
        fwrite(&size, sizeof size, 1, stdout);
        fwrite(TfLiteTensorData(output), 1, size, stdout);
    }
    return 0;
}
