/* The engine's C interface, version 3: load a plan, run images or photos through it, time its steps. Link libshufflekit.a and the C++ library.
 *
 * Plans are made by `shufflekit compile`. Functions that can fail return NULL or -1; shufflekit_error() then says why. Several
 * threads may use one engine at the same time. Pointers that a function returns live as long as the engine.
 *
 *     shufflekit_engine *engine = shufflekit_load("net.plan", 1, NULL);
 *     if (!engine) { fprintf(stderr, "%s\n", shufflekit_error()); return 1; }
 *     const void *inputs[] = {image};
 *     void *outputs[] = {malloc(shufflekit_output_at(engine, 0).bytes)};
 *     if (shufflekit_run(engine, inputs, 1, outputs)) ...
 *     shufflekit_free(engine);
 */
#ifndef SHUFFLEKIT_H
#define SHUFFLEKIT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SHUFFLEKIT_VERSION 3 /* of this interface */

typedef struct shufflekit_engine shufflekit_engine;

/* threads: 1 to 256, of one call of shufflekit_run. instruction_set: avx512, avxvnni, avx2, neoni8mm, neondot, neon
 * or scalar; NULL or "" for the best here. path: UTF-8. A plan in memory is copied. */
shufflekit_engine *shufflekit_load(const char *path, int threads, const char *instruction_set);
shufflekit_engine *shufflekit_load_memory(const void *content, size_t bytes, int threads, const char *instruction_set);
void shufflekit_free(shufflekit_engine *engine); /* NULL is fine */

/* Of this thread's last call that failed: one line. */
const char *shufflekit_error(void);

const char *shufflekit_name(const shufflekit_engine *engine);
const char *shufflekit_instruction_set(const shufflekit_engine *engine);
/* What was kept beside the network, as JSON: preprocessing, class names. */
const char *shufflekit_info(const shufflekit_engine *engine);

typedef enum { SHUFFLEKIT_FLOAT32 = 0, SHUFFLEKIT_UINT8 = 1 } shufflekit_type; /* uint8: the bytes of a photo, RGB or grey */

#define SHUFFLEKIT_ANY (-1)

typedef struct {
    const char *name;
    shufflekit_type type; /* of its elements */
    int rank;             /* of an input 1 to 5, of an output up to 9 */
    int64_t shape[9];     /* the first is SHUFFLEKIT_ANY where the tensor has the images one after another, as most have */
    size_t bytes;         /* of one image, or of the whole */
} shufflekit_tensor;

/* 0 to shufflekit_inputs(engine) - 1, in the network's order; outputs likewise. */
int shufflekit_inputs(const shufflekit_engine *engine);
shufflekit_tensor shufflekit_input_at(const shufflekit_engine *engine, int input);
int shufflekit_outputs(const shufflekit_engine *engine);
shufflekit_tensor shufflekit_output_at(const shufflekit_engine *engine, int output);

/* For each input its `count` images, without gaps, and for each output room for as many; a tensor that does not begin with
 * SHUFFLEKIT_ANY is there once. A plan without such a dimension takes a count of 1. 0 is success. */
int shufflekit_run(const shufflekit_engine *engine, const void *const *inputs, int64_t count, void *const *outputs);

/* A photo of any size: RGB, or RGB and a fourth byte that nobody looks at, rows one after another. */
typedef struct {
    const uint8_t *pixels;
    int64_t width, height;
    int pixel_bytes; /* 3 or 4 */
} shufflekit_photo;

/* Photos go in as the plan says, byte for byte as in Python: resized, cut or fitted in, normalised. What follows takes networks with one
 * input, an image of 3 channels or 1.
 *
 * Fills `input`, room for one image, for shufflekit_run. 0 is success. */
int shufflekit_prepare(const shufflekit_engine *engine, const shufflekit_photo *photo, void *input);

typedef struct {
    int64_t index;
    float score; /* of all classes together 1 */
} shufflekit_class;

/* The likeliest classes of a photo, best first, into room for `most` of them. Returns how many, or -1. */
int shufflekit_classify(const shufflekit_engine *engine, const shufflekit_photo *photo, int most, shufflekit_class *found);

typedef struct {
    int64_t index; /* of the class */
    float score;
    float left, top, right, bottom; /* pixels of the photo */
} shufflekit_box;

/* What a detector of one stage (NanoDet, FastestDet) finds with a score above `least`, itself above 0 and below 1: best first, none of
 * which a better one of its class hides, into room for `most`. Returns how many, or -1. */
int shufflekit_detect(const shufflekit_engine *engine, const shufflekit_photo *photo, double least, int most, shufflekit_box *found);

/* The name of a class where the plan has it; else NULL. */
const char *shufflekit_label(const shufflekit_engine *engine, int64_t index);

typedef struct {
    const char *name, *kernel, *variant; /* the kernel, and which way of computing it */
    int64_t flops, bytes; /* multiply-adds, and bytes read and written, of one image */
} shufflekit_step;

/* `step`: 0 to shufflekit_steps(engine) - 1. */
int shufflekit_steps(const shufflekit_engine *engine);
shufflekit_step shufflekit_step_at(const shufflekit_engine *engine, int step);

/* Runs one image `repeats` times; seconds[repeat * steps + step]. 0 is success. */
int shufflekit_profile(const shufflekit_engine *engine, const void *const *inputs, int repeats, double *seconds);

#ifdef __cplusplus
}
#endif

#endif
