/* Uses all of shufflekit.h, in C: c_api_test PLAN. Prints name, shapes and the sum of each output; exit code 0 if all calls agree. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shufflekit.h"

static int failed = 0;

static void check(int holds, const char *what) {
    if (!holds) fprintf(stderr, "%s\n", what), failed = 1;
}

static char *read_file(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    char *content;
    if (!file || fseek(file, 0, SEEK_END)) exit(2);
    *bytes = (size_t)ftell(file);
    content = malloc(*bytes);
    rewind(file);
    if (fread(content, 1, *bytes, file) != *bytes) exit(2);
    fclose(file);
    return content;
}

int main(int count, char **arguments) {
    enum { images = 3, repeats = 2 };
    size_t bytes, i;
    int input, output, step, inputs, outputs, steps;
    if (count != 2) return 2;
    char *content = read_file(arguments[1], &bytes);
    shufflekit_engine *engine = shufflekit_load(arguments[1], 1, NULL);
    shufflekit_engine *copy = shufflekit_load_memory(content, bytes, 2, "scalar");
    if (!engine || !copy) return fprintf(stderr, "%s\n", shufflekit_error()), 1;

    check(!shufflekit_load("no such file", 1, NULL), "a file that is not there was loaded");
    check(strstr(shufflekit_error(), "no such file") != NULL, "the error does not name the file");
    check(!shufflekit_load_memory(content, bytes / 2, 1, ""), "half a plan was loaded");
    content[bytes - 1] ^= 1;
    check(!shufflekit_load_memory(content, bytes, 1, ""), "a plan with a bit flipped was loaded");
    check(strstr(shufflekit_error(), "checksum") != NULL, "the error does not name the checksum");
    content[bytes - 1] ^= 1;
    check(!shufflekit_load_memory(content, bytes, 0, ""), "no thread was taken");
    check(strstr(shufflekit_error(), "threads") != NULL, "the error does not name the threads");
    check(!shufflekit_load_memory(content, bytes, 1, "mmx"), "mmx was taken");
    check(!strcmp(shufflekit_instruction_set(copy), "scalar"), "the instruction set is not the one asked for");
    check(shufflekit_info(engine)[0] == '{', "info is no JSON object");
    memset(content, 0, bytes); /* it was copied */
    free(content);

    printf("%s", shufflekit_name(engine));
    inputs = shufflekit_inputs(engine);
    const void **in = calloc((size_t)inputs, sizeof(void *));
    for (input = 0; input < inputs; ++input) {
        const shufflekit_tensor at = shufflekit_input_at(engine, input);
        const size_t floats = images * at.bytes / sizeof(float);
        float *values = malloc(floats * sizeof(float));
        check(at.type == SHUFFLEKIT_FLOAT32 && at.shape[0] == SHUFFLEKIT_ANY && at.name[0], "an input is not described");
        for (i = 0; i < floats; ++i) values[i] = (float)(i % 17) / 17 - 0.5f;
        in[input] = values;
        for (step = 1; step < at.rank; ++step) printf(" %lld", (long long)at.shape[step]);
    }
    printf("\n");

    outputs = shufflekit_outputs(engine);
    void **first = calloc((size_t)outputs, sizeof(void *)), **second = calloc((size_t)outputs, sizeof(void *));
    for (output = 0; output < outputs; ++output) {
        first[output] = malloc(images * shufflekit_output_at(engine, output).bytes);
        second[output] = malloc(images * shufflekit_output_at(engine, output).bytes);
    }
    check(shufflekit_run(engine, in, 0, first) == -1, "a run of no image succeeded");
    check(shufflekit_run(engine, in, images, first) == 0, "run failed");
    check(shufflekit_run(copy, in, images, second) == 0, "run of the copy failed");
    for (output = 0; output < outputs; ++output) {
        const shufflekit_tensor at = shufflekit_output_at(engine, output);
        const float *one = first[output], *other = second[output];
        double sum = 0;
        int64_t product = 1;
        for (step = 1; step < at.rank; ++step) product *= at.shape[step];
        check((size_t)product * sizeof(float) == at.bytes && at.shape[0] == SHUFFLEKIT_ANY, "shape and bytes disagree");
        for (i = 0; i < images * (size_t)product; ++i) {
            const float difference = one[i] - other[i];
            check(difference < 1e-3f && difference > -1e-3f, "instruction sets disagree");
            sum += one[i];
        }
        printf("%s %d %.9g\n", at.name, at.rank, sum);
    }

    steps = shufflekit_steps(engine);
    double *seconds = malloc((size_t)steps * repeats * sizeof(double));
    check(shufflekit_profile(engine, in, 0, seconds) == -1, "a profile of no run succeeded");
    check(shufflekit_profile(engine, in, repeats, seconds) == 0, "profile failed");
    for (step = 0; step < steps * repeats; ++step) check(seconds[step] >= 0, "a step took less than no time");
    for (step = 0; step < steps; ++step) {
        const shufflekit_step at = shufflekit_step_at(engine, step);
        check(at.name && at.kernel && at.variant && at.flops >= 0 && at.bytes > 0, "a step without a name or bytes");
    }

    for (output = 0; output < outputs; ++output) free(first[output]), free(second[output]);
    for (input = 0; input < inputs; ++input) free((void *)in[input]);
    free(first), free(second), free(seconds), free(in);
    shufflekit_free(engine), shufflekit_free(copy), shufflekit_free(NULL);
    return failed;
}
