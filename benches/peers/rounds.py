"""Turns of several programs on a machine that others use, too."""

import statistics

# Of the most that multiply-adds on registers reached: below it somebody else was at work.
QUIET = 0.95


class Rounds:
    """What each took in each round, and the rounds in which the machine was found undisturbed before each turn and
    after the last. A neighbour on the same cores takes more from who keeps their units busy than from who waits
    for memory: a median over what is left of such rounds is neither's speed."""

    def __init__(self, count, turns, probe):
        """`turns`: for each name what takes a turn and returns its numbers, seconds first; `probe` the rate now."""
        self.turns = {name: [] for name in turns}
        self.probes = []
        for _ in range(count):
            probes = []
            for name, turn in turns.items():
                probes.append(probe())
                self.turns[name].append(turn())
            self.probes.append([*probes, probe()])

    def quiet(self):
        """The numbers of the undisturbed rounds."""
        most = max(max(probes) for probes in self.probes)
        return [i for i, probes in enumerate(self.probes) if min(probes) >= QUIET * most]

    def every(self):
        return list(range(len(self.probes)))

    def median(self, name, rounds, column=0):
        return statistics.median(self.turns[name][i][column] for i in rounds)

    def best(self, name):
        return min(turn[0] for turn in self.turns[name])

    def ratio(self, name, to, rounds, column=0):
        """The median of what `name` took in a round over what `to` did."""
        return statistics.median(self.turns[name][i][column] / self.turns[to][i][column] for i in rounds)

    def ratios(self, name, to):
        """Over all rounds and over the undisturbed ones, as words."""
        quiet = self.quiet()
        return f"{self.ratio(name, to, self.every()):.2f}", f"{self.ratio(name, to, quiet):.2f}" if quiet else "–"
