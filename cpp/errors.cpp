#include "errors.hpp"

#include <cstdio>

namespace fastmlp {

OutOfMemory::OutOfMemory(double bytes, const char* purpose) : bytes_(bytes) {
  if (bytes == 0) {  // who refused it does not say
    std::snprintf(text_, sizeof text_, "Unable to allocate memory for %s.", purpose);
    return;
  }
  const char* units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
  int unit = 0;
  for (; bytes >= 1024 && unit < 5; bytes /= 1024) ++unit;
  std::snprintf(text_, sizeof text_, "Unable to allocate %.3g %s for %s.", bytes, units[unit],
                purpose);
}

DeviceError::DeviceError(const char* what_failed, const char* why) {
  std::snprintf(text_, sizeof text_, "%s: %s.", what_failed, why);
}

}  // namespace fastmlp
