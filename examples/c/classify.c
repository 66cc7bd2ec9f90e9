/* classify NET.plan IMAGE.f32: the class with the largest score of one image, float32 as the network takes it. */
#include <shufflekit.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    return 1;
}

int main(int count, char **arguments) {
    if (count != 3) return fail("usage", "classify NET.plan IMAGE.f32");
    shufflekit_engine *engine = shufflekit_load(arguments[1], 1, NULL);
    if (!engine) return fail("classify", shufflekit_error());

    const shufflekit_tensor input = shufflekit_input_at(engine, 0), output = shufflekit_output_at(engine, 0);
    float *image = malloc(input.bytes), *scores = malloc(output.bytes);
    FILE *file = fopen(arguments[2], "rb");
    if (!file || fread(image, 1, input.bytes, file) != input.bytes) return fail(arguments[2], "is no image of the network's size");
    fclose(file);

    const void *inputs[] = {image};
    void *outputs[] = {scores};
    if (shufflekit_run(engine, inputs, 1, outputs)) return fail("classify", shufflekit_error());
    size_t best = 0;
    for (size_t i = 1; i < output.bytes / sizeof(float); ++i)
        if (scores[i] > scores[best]) best = i;
    printf("%s: class %zu, score %.4f\n", shufflekit_name(engine), best, scores[best]);
    free(scores), free(image), shufflekit_free(engine);
    return 0;
}
