"""Serial lines that two programs can open: pairs of pseudo terminals, joined."""

import os
import pty
import select
import threading
import tty


class Wires:
    """ends: {name: (path for one program, path for the other)}. Use it as a context."""

    def __init__(self, *names):
        self._pairs = [(pty.openpty(), pty.openpty()) for _ in names]
        self.ends = {}
        self._other = {}
        for name, (left, right) in zip(names, self._pairs):
            for _, terminal in (left, right):
                tty.setraw(terminal)
            self.ends[name] = (os.ttyname(left[1]), os.ttyname(right[1]))
            self._other.update({left[0]: right[0], right[0]: left[0]})
        self._end, self._told = os.pipe()
        self._thread = threading.Thread(target=self._carry, daemon=True)

    def _carry(self):
        while True:
            ready, _, _ = select.select([self._end, *self._other], [], [])
            if self._end in ready:
                return
            for one in ready:
                os.write(self._other[one], os.read(one, 4096))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        os.close(self._told)
        self._thread.join(5)
        os.close(self._end)
        for pair in self._pairs:
            for descriptors in pair:
                for descriptor in descriptors:
                    os.close(descriptor)
