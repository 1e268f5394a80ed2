// The list of engines. Only this file and cpu/CMakeLists.txt name an instruction set or a device.
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "engine.hpp"

namespace fastmlp {

#ifdef FASTMLP_X86
extern const Engine engine_avx512, engine_avx2;
#endif
extern const Engine engine_generic;
#ifdef FASTMLP_CUDA
extern const Engine engine_cuda;
#endif

const Engine* const kEngines[] = {
#ifdef FASTMLP_X86
    &engine_avx512,
    &engine_avx2,
#endif
    &engine_generic,
#ifdef FASTMLP_CUDA
    &engine_cuda,
#endif
};
const int kNumEngines = int(sizeof kEngines / sizeof kEngines[0]);

namespace {

std::string names() {
  std::string all;
  for (const Engine* engine : kEngines)
    all += (all.empty() ? "" : ", ") + std::string(engine->name);
  return all;
}

const Engine& named(const std::string& name, const char* source) {
  for (const Engine* engine : kEngines) {
    if (name != engine->name) continue;
    if (const char* lack = engine->lacks())
      throw std::invalid_argument(source + ("='" + name) + "': " + lack + ".");
    return *engine;
  }
  throw std::invalid_argument(source + (" must be one of " + names()) + ". Got '" + name +
                              "' instead.");
}

}  // namespace

const Engine& find_engine(const char* name, const char* device) {
  if (name && *name) return named(name, "engine");
  const std::string wanted = device;
  if (const char* forced = std::getenv("FASTMLP_ENGINE"); forced && *forced) {
    const Engine& engine = named(forced, "FASTMLP_ENGINE");
    if (wanted == "cpu" || wanted == engine.device) return engine;
  }
  const char* lack = "this build of fastmlp has no engine for it";
  for (const Engine* engine : kEngines) {
    if (wanted != engine->device) continue;
    lack = engine->lacks();
    if (!lack) return *engine;
  }
  throw std::invalid_argument("device='" + wanted + "': " + lack + ".");
}

}  // namespace fastmlp
