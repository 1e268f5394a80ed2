// What the core throws besides std::invalid_argument. Compiled once, for every engine.
#pragma once

#include <exception>
#include <new>

namespace fastmlp {

/// Says how much memory could not be had, and what for.
class OutOfMemory : public std::bad_alloc {
 public:
  OutOfMemory(double bytes, const char* purpose);
  const char* what() const noexcept override { return text_; }
  double bytes() const { return bytes_; }

 private:
  double bytes_;
  char text_[256];
};

/// Says what a device could not do, and in its own words why.
class DeviceError : public std::exception {
 public:
  DeviceError(const char* what_failed, const char* why);
  const char* what() const noexcept override { return text_; }

 private:
  char text_[512];
};

}  // namespace fastmlp
