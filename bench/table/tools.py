"""The tools that are measured, as shell command templates.

A tool has "cmd", and may have "setup" (writes its configuration, not timed), "many"
(one process for many users) and "phases" (those it knows; default: all). Placeholders:
  {src_host} {src_port} {src_tls_port} {dst_host} {dst_port} {dst_tls_port}
  {user} {password} {work} {src_conf} {dst_conf} {mailhaul} {limit} {imapsync} {flags}
and in a "many" template {users_file} (one user a line) and {parallel}.
imapsync is not shipped: name its script in the environment as IMAPSYNC. LIMIT and
MAILHAUL name those programs (default: limit on the path, bin/mailhaul), MAILHAUL_FLAGS
is given to mailhaul.
"""
IMAPSYNC = ("perl {imapsync} --host1 {src_host} --port1 {src_port} --user1 {user} --password1 {password}"
            " --host2 {dst_host} --port2 {dst_port} --user2 {user} --password2 {password}"
            " --nossl1 --nossl2 --notls1 --notls2 --nolog --tmpdir {work} --pidfile {work}/pid --noreleasecheck")
MBSYNC_SETUP = r"""cat > {work}/mbsyncrc <<'END'
SyncState {work}/state/

IMAPStore src
Host {src_host}
Port {src_port}
User {user}
Pass {password}
SSLType None
AuthMechs LOGIN

IMAPStore dst
Host {dst_host}
Port {dst_port}
User {user}
Pass {password}
SSLType None
AuthMechs LOGIN

Channel c
Far :src:
Near :dst:
Patterns INBOX *
Create Near
Sync PullNew PullFlags
CopyArrivalDate yes
END
mkdir -p {work}/state"""
OFFLINEIMAP_SETUP = r"""cat > {work}/rc <<'END'
[general]
accounts = a
metadata = {work}/meta
maxsyncaccounts = 1
ui = quiet
fsync = False
[Account a]
localrepository = dst
remoterepository = src
[Repository src]
type = IMAP
remotehost = {src_host}
remoteport = {src_port}
remoteuser = {user}
remotepass = {password}
ssl = no
starttls = no
auth_mechanisms = LOGIN
readonly = True
maxconnections = 2
subscribedonly = no
[Repository dst]
type = IMAP
remotehost = {dst_host}
remoteport = {dst_port}
remoteuser = {user}
remotepass = {password}
ssl = no
starttls = no
auth_mechanisms = LOGIN
maxconnections = 2
subscribedonly = no
END"""
DOVEADM = ("doveadm -c {dst_conf} -o imapc_host={src_host} -o imapc_port={src_port} -o imapc_user={user}"
           " -o imapc_password={password} -o mail_prefetch_count=20 -o imapc_list_prefix="
           " -o 'imapc_features=rfc822.size fetch-headers'")
LIMIT_COPY = "exec {limit} copy -src {src_host}:{src_port} -dst {dst_host}:{dst_port} -user {user} -pass {password}"
LIMIT_NOOP = "exec {limit} noop -src {src_host}:{src_port} -dst {dst_host}:{dst_port} -pass {password}"
TOOLS = {
    "mailhaul": {"cmd": "exec {mailhaul} sync --source imap+plain://{user}:{password}@{src_host}:{src_port}"
                        " --target imap+plain://{user}:{password}@{dst_host}:{dst_port} --state {work}/state --output json {flags}"},
    "mailhaul-x4": {"cmd": "exec {mailhaul} sync --source imap+plain://{user}:{password}@{src_host}:{src_port} --connections 4"
                           " --target imap+plain://{user}:{password}@{dst_host}:{dst_port} --state {work}/state --output json {flags}"},
    "mailhaul-tls": {"cmd": "exec {mailhaul} sync --source imaps://{user}:{password}@{src_host}:{src_tls_port} --source-tls-insecure"
                            " --target imaps://{user}:{password}@{dst_host}:{dst_tls_port} --target-tls-insecure"
                            " --state {work}/state --output json {flags}"},
    "imapsync": {"cmd": IMAPSYNC},
    "imapsync-uid": {"cmd": IMAPSYNC + " --useuid"},
    "imapsync-fast": {"cmd": IMAPSYNC + " --useuid --nofoldersizes --nofoldersizesatend --noid --fastio1 --fastio2"
                             " --subscribe_all --noabletosearch"},
    "mbsync": {"setup": MBSYNC_SETUP, "cmd": "mbsync -q -c {work}/mbsyncrc c"},
    "offlineimap": {"setup": OFFLINEIMAP_SETUP, "cmd": "offlineimap -c {work}/rc -o -u quiet"},
    "doveadm-backup": {"cmd": DOVEADM + " backup -R -u {user} imapc:"},
    "doveadm-sync1": {"cmd": DOVEADM + " sync -1 -R -u {user} imapc:"},
    "doveadm-sync1-state": {"cmd": "st=$(cat {work}/dsync-state 2>/dev/null || true); " + DOVEADM +
                            " sync -1 -R -s \"$st\" -u {user} imapc: > {work}/st.new; r=$?;"
                            " [ $r = 0 ] && mv {work}/st.new {work}/dsync-state; exit $r"},
    "larch": {"setup": "touch {work}/none", "cmd": "HOME={work} larch --all --from imap://{src_host}:{src_port} --from-user {user} --from-pass {password}"
                     " --to imap://{dst_host}:{dst_port} --to-user {user} --to-pass {password} --database {work}/l.db"
                     " --config {work}/none --verbosity warn --max-retries 0"},
    "imapcopy": {"setup": "printf 'SourceServer {src_host}\\nSourcePort {src_port}\\nDestServer {dst_host}\\nDestPort {dst_port}\\n"
                          "Copy \"{user}\" \"{password}\" \"{user}\" \"{password}\"\\n' > {work}/ImapCopy.cfg",
                 "cmd": "cd {work} && imapcopy"},
    "limit-copy1": {"cmd": LIMIT_COPY + " -multi 1", "phases": ["initial"]},
    "limit-copy1-sel": {"cmd": LIMIT_COPY + " -multi 1 -select", "phases": ["initial"]},
    "limit-copy1-sync": {"cmd": LIMIT_COPY + " -multi 1 -literal sync", "phases": ["initial"]},
    "limit-copy1-sync-x4": {"cmd": LIMIT_COPY + " -multi 1 -literal sync -conns 4 -chunk 10", "phases": ["initial"]},
    "limit-copy50": {"cmd": LIMIT_COPY + " -multi 50", "phases": ["initial"]},
    "limit-copy200-sel": {"cmd": LIMIT_COPY + " -multi 200 -select", "phases": ["initial"]},
    "limit-copy50-x4": {"cmd": LIMIT_COPY + " -multi 50 -conns 4", "phases": ["initial"]},
    "limit-copy50-tls": {"cmd": "exec {limit} copy -tls -src {src_host}:{src_tls_port} -dst {dst_host}:{dst_tls_port} -user {user}"
                                " -pass {password} -multi 50", "phases": ["initial"]},
    "limit-noop": {"cmd": LIMIT_NOOP + " -user {user} -how status", "phases": ["noop"], "many": LIMIT_NOOP + " -users {users_file} -conns {parallel} -both"},
    "limit-noop-flags": {"cmd": LIMIT_NOOP + " -user {user} -how flags -both", "phases": ["noop"]},
}
