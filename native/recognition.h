// What a network sees on a picture: it goes in and its outputs are read as its plan says. The C interface and web.cpp are made on it.
#pragma once

#include <string>
#include <vector>

#include "detections.h"
#include "engine.h"
#include "preparation.h"

namespace shufflekit {

// What is wrong, in one line; nothing is found then.
template <class T>
struct Seen {
    std::string problem;
    std::vector<T> found;
};

// The picture as the network's only input, of one image; returns what is wrong, or nothing. As it is, a picture has the input's size.
std::string put_in(const Engine& engine, const Picture& picture, Fit fit, char* input);
// As the plan says: fitted in as detectors take it, or cut.
std::string put_in(const Engine& engine, const Picture& picture, char* input);

// The `count` likeliest classes.
Seen<Likely> classify(const Engine& engine, const Picture& picture, int64_t count);

// The boxes of at least that score, above 0 and below 1.
Seen<Box> detect(const Engine& engine, const Picture& picture, double least);

}  // namespace shufflekit
