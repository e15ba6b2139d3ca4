"""What all rows share: sizes, mail, stages, programs."""
import os
import sys

from imapraw import Conn
from table.contest import contest
from table.stage import Stage

# What a Dovecot says it can, for those that are to hide something.
CAPABILITIES = ("IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES THREAD=REFS THREAD=ORDEREDSUBJECT "
                "MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH "
                "ESORT SEARCHRES WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE SNIPPET=FUZZY PREVIEW=FUZZY PREVIEW STATUS=SIZE SAVEDATE "
                "LITERAL+ NOTIFY SPECIAL-USE")
OURS = ("mailhaul", "mailhaul-tls", "mailhaul-x4")


def without(*words):
    """The capabilities but for these."""
    return " ".join(c for c in CAPABILITIES.split() if c not in words)


class Bench:
    def __init__(self, directory, disk, programs, runs, peer_runs, peers, scale):
        self.dir, self.disk, self.programs = directory, disk, programs
        self.runs, self.peer_runs, self.peers, self.scale = runs, peer_runs, peers, scale
        self.stages, self.made = {}, set()

    def close(self):
        for s in self.stages.values():
            s.stop()

    def size(self, n):
        """A number of messages, smaller where the whole bench is to be."""
        return max(20, int(n * self.scale))

    def stage(self, name="main", on_disk=False, **settings):
        """Two servers with these settings of servers.sh, started when first asked for."""
        if name not in self.stages:
            self.stages[name] = Stage.start(os.path.join(self.disk if on_disk else self.dir, name), os.path.join(self.dir, "golden"), **settings)
        return self.stages[name]

    def once(self, what):
        """Whether this is asked for the first time."""
        new = what not in self.made
        self.made.add(what)
        return new

    # Mail: made at the main stage's source.

    def mixed(self, prefix, users, messages, *more, keep=True):
        """Users with mail as it is; with keep, a snapshot from which all stages take theirs."""
        names = [f"{prefix}{i:04d}" for i in range(users)]
        if self.once(prefix):
            main = self.stage()
            print("#", main.script("corpus.py", "--users", users, "--messages", messages, "--prefix", prefix, *more).strip()[:120], file=sys.stderr, flush=True)
            if keep:
                main.snapshot(names)
        return names

    def small(self, user, messages, folders):
        """A user with messages of half a kilobyte, spread evenly over folders. No snapshot."""
        if self.once(user):
            main = self.stage()
            c = Conn("127.0.0.1", main.env["SRC_PORT"], user, main.env["PASSWORD"])
            for k in range(folders):
                name = b"INBOX" if k == 0 else b"Folder%d" % k
                if k:
                    c.cmd(b"CREATE " + name)
                mine = range(k, messages, folders)
                tags = [c.send(b"APPEND " + name + b"".join(small_message(i) for i in mine[at:at + 2000])) for at in range(0, len(mine), 2000)]
                for t in tags:
                    for _ in c.untagged(t):
                        pass
            c.logout()
        return user

    # Measurements

    def tools(self, ours, raw, peers=True, runs=None, peer_runs=None):
        """How often each tool runs."""
        n = {ours: runs or self.runs, raw: runs or self.runs}
        if peers:
            n.update({p: min(peer_runs or self.peer_runs, runs or self.runs) for p in self.peers})
        return n

    def contest(self, stage, user, tools, **kw):
        return contest(stage, user, tools, judged=lambda tool, turn: tool in OURS and turn == 0, **kw)


def small_message(i):
    body = (b"From: Sender %d <s%d@example.net>\r\nTo: someone@example.org\r\nSubject: small message %d\r\nDate: Mon, 4 Jan 2021 09:%02d:%02d +0000\r\n"
            b"Message-ID: <small-%d@example.net>\r\nMIME-Version: 1.0\r\n\r\n" % (i % 97, i % 97, i, i // 60 % 60, i % 60, i)
            + b"A line of a small message, of which there are a great many here.\r\n" * 4)
    return b' (%s) " 4-Jan-2021 09:%02d:%02d +0000" {%d+}\r\n%s' % (b"\\Seen" if i % 5 else b"", i // 60 % 60, i % 60, len(body), body)
