// A clock in a worker: browsers slow the timers of pages that are not looked at, but not these.
setInterval(() => postMessage(null), 15000);
