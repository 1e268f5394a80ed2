// How threads share work, and whether a team of them is worth its barriers.
#pragma once

#include "../threads.hpp"
#include "simd.hpp"

namespace fastmlp {
namespace {

/// Below this work (multiply-adds, and as many again per weight for its update) a second thread
/// costs more in barriers than it takes off.
constexpr double kWorkPerThread = 4e5;

/// Share `thread` of `count` things split evenly, in whole multiples of `grain`.
struct Share {
  int64_t begin, end;
  Share(int64_t count, int64_t grain, int thread, int n_threads) {
    const int64_t grains = ceil_div(count, grain);
    begin = grains * thread / n_threads * grain;
    end = grains * (thread + 1) / n_threads * grain;
    if (begin > count) begin = count;
    if (end > count) end = count;
  }
};

/// The leader's watch over its team, from pass to pass: on a busy machine, or where a step is too
/// small, a team can be slower than the leader alone, sometimes a hundredfold. So the first steps
/// are made alone, for comparison; a team found slower is given up for a while, for twice as long
/// the next time, and then tried again.
class Watch {
 public:
  /// `work` of a step, in multiply-adds. Where one step takes long, the team begins at once and is
  /// not given up: its barriers weigh nothing.
  Watch(double work = 0)
      : alone_(work > kLargeStep ? infinity<double>() : 0),
        rests_(work > kLargeStep ? 0 : kFirst) {}

  bool team_rests() const { return rests_ > 0; }

  void begins() { began_ = seconds(); }

  /// So many seconds of the step were none of this team's.
  void waited(double time) { began_ += time; }

  /// Judges a step over `rows` rows by a team, or by the leader alone while the team rests. True if
  /// it is time for the other way. The wait for the team after it is counted with the next step.
  bool step_ends(bool by_team, int64_t rows) {
    const double now = seconds(), time = now - began_;
    began_ = now;
    time_ += time;
    rows_ += double(rows);
    if (!by_team) {
      rests_ -= time;
      if (team_rests()) return false;
      alone_ = time_ / rows_;
      time_ = rows_ = 0;
      return true;
    }
    if (time_ < kWindow) return false;
    const bool slower = time_ / rows_ > alone_;
    last_rest_ = !slower ? 0 : last_rest_ == 0 ? kShortest : 2 * last_rest_;
    if (last_rest_ > kLongest) last_rest_ = kLongest;
    rests_ = last_rest_;
    time_ = rows_ = 0;
    return slower;
  }

 private:
  static constexpr double kLargeStep = 1e8;
  static constexpr double kWindow = 2e-3;                                   // seconds judged
  static constexpr double kFirst = 1e-3, kShortest = 8e-3, kLongest = 1.0;  // seconds of rest
  double began_ = 0;
  double time_ = 0, rows_ = 0;  // of this way, so far
  double alone_;                // seconds per row
  double rests_, last_rest_ = 0;
};

}  // namespace
}  // namespace fastmlp
