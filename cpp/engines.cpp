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

const Engine* const kEngines[] = {
#ifdef FASTMLP_X86
    &engine_avx512,
    &engine_avx2,
#endif
    &engine_generic,
};
const int kNumEngines = int(sizeof kEngines / sizeof kEngines[0]);

const Engine& find_engine(const char* name) {
  std::string wanted = name ? name : "";
  const char* source = "engine";
  if (wanted.empty()) {
    if (const char* forced = std::getenv("FASTMLP_ENGINE")) wanted = forced;
    source = "FASTMLP_ENGINE";
  }
  for (const Engine* engine : kEngines) {
    if (wanted.empty() ? !engine->available() : wanted != engine->name) continue;
    if (engine->available()) return *engine;
    throw std::invalid_argument(source + ("='" + wanted) + "': this machine cannot run it.");
  }
  std::string known;
  for (const Engine* engine : kEngines)
    known += (known.empty() ? "" : ", ") + std::string(engine->name);
  throw std::invalid_argument(source + (" must be one of " + known) + ". Got '" + wanted +
                              "' instead.");
}

}  // namespace fastmlp
