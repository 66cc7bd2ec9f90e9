/* The engine's C interface: load a plan, run images through it, time its steps. Link libshufflekit.a and the C++ library.
 *
 * Plans are made by `shufflekit compile`. Functions that can fail return NULL or -1; shufflekit_error() then says why. Several
 * threads may use one engine at the same time. Pointers that a function returns live as long as the engine.
 *
 *     shufflekit_engine *engine = shufflekit_load("net.plan", 1, NULL);
 *     if (!engine) { fprintf(stderr, "%s\n", shufflekit_error()); return 1; }
 *     float *scores = malloc(shufflekit_output_floats(engine, 0) * sizeof(float)), *outputs[] = {scores};
 *     if (shufflekit_run(engine, image, 1, outputs)) ...
 *     shufflekit_free(engine);
 */
#ifndef SHUFFLEKIT_H
#define SHUFFLEKIT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct shufflekit_engine shufflekit_engine;

/* threads: 1 to 256, of one call of shufflekit_run. instruction_set: avx512, avx2, neon or scalar; NULL or "" for the best here.
 * A plan in memory is copied. */
shufflekit_engine *shufflekit_load(const char *path, int threads, const char *instruction_set);
shufflekit_engine *shufflekit_load_memory(const void *content, size_t bytes, int threads, const char *instruction_set);
void shufflekit_free(shufflekit_engine *engine); /* NULL is fine */

/* Of this thread's last call that failed: one line. */
const char *shufflekit_error(void);

const char *shufflekit_name(const shufflekit_engine *engine);
const char *shufflekit_instruction_set(const shufflekit_engine *engine);
/* What was kept beside the network, as JSON: preprocessing, class names. */
const char *shufflekit_info(const shufflekit_engine *engine);

/* Channels, height, width. */
void shufflekit_input_shape(const shufflekit_engine *engine, int64_t shape[3]);

/* `output`: 0 to shufflekit_outputs(engine) - 1. The shape is without the batch; the rank, which is returned, is at most 8. */
int shufflekit_outputs(const shufflekit_engine *engine);
const char *shufflekit_output_name(const shufflekit_engine *engine, int output);
int shufflekit_output_shape(const shufflekit_engine *engine, int output, int64_t shape[8]);
size_t shufflekit_output_floats(const shufflekit_engine *engine, int output); /* of one image */

/* images: count x channels x height x width, without gaps. outputs: for each output, room for count x its floats. 0 is success. */
int shufflekit_run(const shufflekit_engine *engine, const float *images, int64_t count, float *const *outputs);

typedef struct {
    const char *name, *kernel;
    int64_t flops, bytes; /* multiply-adds, and bytes read and written, of one image */
} shufflekit_step;

/* `step`: 0 to shufflekit_steps(engine) - 1. */
int shufflekit_steps(const shufflekit_engine *engine);
shufflekit_step shufflekit_step_at(const shufflekit_engine *engine, int step);

/* Runs one image `repeats` times; seconds[repeat * steps + step]. 0 is success. */
int shufflekit_profile(const shufflekit_engine *engine, const float *image, int repeats, double *seconds);

#ifdef __cplusplus
}
#endif

#endif
