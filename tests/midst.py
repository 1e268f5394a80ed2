"""Signals that come in the midst of a call: when the core tells that it works, not after a while.

Time is the processor's, which no other process on the machine takes part in.
"""

import contextlib
import io
import os
import signal
import threading
import time

from fastmlp import _native

WORK = 0.05  # seconds of the processor, from being told to the signal: well into what was told
OWNERS = [_native, *(getattr(_native, f"{kind}{bits}") for kind in ("Network", "Perceptron")
                     for bits in (32, 64))]  # fmt: skip


def cpu_seconds():
    """Of the main thread; of the process, per thread that the core may have."""
    of_process = time.process_time() / _native.max_threads()
    if not hasattr(time, "pthread_getcpuclockid"):  # macOS
        return of_process, of_process
    clock = time.pthread_getcpuclockid(threading.main_thread().ident)
    return time.clock_gettime(clock), of_process


@contextlib.contextmanager
def told(method, times=1, *, asked=False):
    """An event: a method of the core is called for the n-th time in this block.

    Or it has `asked` whether to stop so many times, which `train` does after a step, at most twenty
    times a second: that many steps at least were made.
    """
    event, lock, count = threading.Event(), threading.Lock(), 0

    def tell():
        nonlocal count
        with lock:
            count += 1
            if count == times:
                event.set()
        return False

    def watched(call):
        def watching(*args, **options):
            if not asked:
                tell()
                return call(*args, **options)
            stop = options.pop("stop", None)
            return call(*args, **options, stop=lambda: tell() or (stop is not None and stop()))

        return watching

    calls = [(owner, vars(owner)[method]) for owner in OWNERS if method in vars(owner)]
    assert calls
    for owner, call in calls:
        setattr(owner, method, watched(call))
    try:
        yield event
    finally:
        for owner, call in calls:
            setattr(owner, method, call)


@contextlib.contextmanager
def signal_after(event, number=signal.SIGINT):
    """Send this process a signal in the midst of the block: after an event, and a little work.

    Gives a function: the seconds of the processor that have been spent since it was sent.
    """
    ended, sent = threading.Event(), []

    def send():
        event.wait()
        begun = time.process_time()
        while not ended.is_set() and time.process_time() < begun + WORK:
            ended.wait(0.001)
        if not ended.is_set():
            sent.append(cpu_seconds())
            os.kill(os.getpid(), number)

    def since():
        return max(now - then for now, then in zip(cpu_seconds(), sent[0], strict=True))

    sender = threading.Thread(target=send)
    earlier = signal.getsignal(number)
    if number == signal.SIGINT:  # which a process that a script starts in the background ignores
        signal.signal(number, signal.default_int_handler)
    sender.start()
    try:
        yield since
    finally:
        ended.set()
        event.set()
        sender.join()
        signal.signal(number, earlier)


def moments(fit, *args):
    """When a verbose fit has told of each of its epochs or iterations, on the monotonic clock."""
    found = []

    class Lines(io.StringIO):
        def write(self, text):
            if text.startswith("Iteration "):
                found.append(time.monotonic())
            return super().write(text)

    with contextlib.redirect_stdout(Lines()):
        fit(*args)
    return found
