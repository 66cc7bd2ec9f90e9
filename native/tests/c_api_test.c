/* Uses all of shufflekit.h, in C: c_api_test PLAN [PHOTO WIDTH HEIGHT]. Prints name, shapes and the sum of each output, then what is on the
 * photo (bytes of RGB); exit code 0 if all calls agree. */
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

static void look(const shufflekit_engine *engine, char **arguments) {
    enum { classes = 5, boxes = 10 };
    size_t bytes, i;
    char *content = read_file(arguments[2], &bytes);
    unsigned char *wide = malloc(bytes / 3 * 4);
    const shufflekit_tensor input = shufflekit_input_at(engine, 0);
    const size_t floats = input.bytes / sizeof(float);
    float *prepared = malloc(input.bytes), *other = malloc(input.bytes);
    shufflekit_photo photo = {(const uint8_t *)content, atoi(arguments[3]), atoi(arguments[4]), 3}, rgba;
    shufflekit_class found[classes];
    shufflekit_box box[boxes];
    int n, k;
    double sum = 0;
    for (i = 0; i < bytes / 3; ++i) memcpy(wide + 4 * i, content + 3 * i, 3), wide[4 * i + 3] = (unsigned char)i;
    rgba = photo, rgba.pixels = wide, rgba.pixel_bytes = 4;
    check(shufflekit_prepare(engine, &photo, prepared) == 0 && shufflekit_prepare(engine, &rgba, other) == 0, "a photo was refused");
    check(!memcmp(prepared, other, input.bytes), "four bytes a pixel give something else than three");
    for (i = 0; i < floats; ++i) sum += prepared[i];
    printf("%.9g\n", sum);
    n = shufflekit_classify(engine, &rgba, classes, found);
    for (k = 0; k < n; ++k) {
        const char *label = shufflekit_label(engine, found[k].index);
        printf("%lld %.9g ", (long long)found[k].index, found[k].score);
        for (; *label; ++label) putchar(*label == '\n' ? '~' : *label);
        putchar('\n');
    }
    n = shufflekit_detect(engine, &rgba, 0.35, boxes, box);
    for (k = 0; k < n; ++k)
        printf("box %lld %s %.9g %.9g %.9g %.9g %.9g\n", (long long)box[k].index, shufflekit_label(engine, box[k].index), box[k].score, box[k].left,
               box[k].top, box[k].right, box[k].bottom);
    check(strstr(shufflekit_error(), n < 0 ? "must be the plan of a detector" : "vector of 2 scores") != NULL, "the error does not say what the network is");
    check(shufflekit_classify(engine, &photo, 0, found) == -1 && strstr(shufflekit_error(), "most"), "room for nothing was taken");
    check(shufflekit_detect(engine, &photo, 1, boxes, box) == -1 && strstr(shufflekit_error(), "least"), "a score of 1 was taken");
    photo.pixel_bytes = 2;
    check(shufflekit_prepare(engine, &photo, prepared) == -1 && strstr(shufflekit_error(), "pixel_bytes"), "two bytes a pixel were taken");
    photo.pixel_bytes = 3, photo.width = 0;
    check(shufflekit_prepare(engine, &photo, prepared) == -1 && strstr(shufflekit_error(), "width"), "no columns were taken");
    check(!shufflekit_label(engine, -1) && !shufflekit_label(engine, 1000), "a class that is none has a name");
    free(content), free(wide), free(prepared), free(other);
}

int main(int count, char **arguments) {
    enum { images = 3, repeats = 2 };
    size_t bytes, i;
    int input, output, step, inputs, outputs, steps;
    if (count != 2 && count != 5) return 2;
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

    if (count == 5) look(engine, arguments);
    for (output = 0; output < outputs; ++output) free(first[output]), free(second[output]);
    for (input = 0; input < inputs; ++input) free((void *)in[input]);
    free(first), free(second), free(seconds), free(in);
    shufflekit_free(engine), shufflekit_free(copy), shufflekit_free(NULL);
    return failed;
}
