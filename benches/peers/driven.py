"""This crate's side of a comparison: a program that is asked line by line, so that others take turns with it."""

import os
import pathlib
import resource
import subprocess
import tempfile


class Asked:
    """A program that says `ready` and answers each line with numbers."""

    def __init__(self, name, *command):
        command = list(map(str, command))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise SystemExit(f"{name} failed; its message is above")

    def answer(self, words):
        self.process.stdin.write(f"{words}\n")
        self.process.stdin.flush()
        return [float(word) for word in self.process.stdout.readline().split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Driven(Asked):
    """`program ROWS.f32 COLUMNS ARGUMENTS…`"""

    def __init__(self, program, rows, *arguments):
        self.folder = tempfile.TemporaryDirectory()
        self.out = os.path.join(self.folder.name, "out")
        file = os.path.join(self.folder.name, "rows.f32")
        rows.tofile(file)
        super().__init__(program, program, file, rows.shape[1], *arguments)

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ask(self, words):
        """The numbers of the answer, and the CPU seconds it took."""
        before = self.cpu()
        return self.answer(words), self.cpu() - before

    def close(self):
        super().close()
        self.folder.cleanup()


def cpu():
    """CPU seconds of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
